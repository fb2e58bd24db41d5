import { expect, it } from 'vitest';

import { tidyCode } from './code';

it('a code is read however it was typed', () => {
  for (const text of ['6em8-m45s-yzve', ' 6EM8 M45S YZVE ', '6em8m45syzve']) expect(tidyCode(text)).toBe('6em8-m45s-yzve');
  for (const text of ['', '6em8-m45s', '6em8-m45s-yzve-1', 'ключ-ключ-ключ']) expect(tidyCode(text)).toBeUndefined();
});
