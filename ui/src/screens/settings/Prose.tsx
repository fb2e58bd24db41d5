import { Code } from '@mantine/core';

import { pieces } from './settings';

/** Words of the reference, in which `code` is marked. */
export function Prose({ text }: { text: string }) {
  return <>{pieces(text).map((piece, at) => (at % 2 === 1 ? <Code key={at}>{piece}</Code> : piece))}</>;
}
