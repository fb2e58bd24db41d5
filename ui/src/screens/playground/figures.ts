import type { Exchange } from './exchange';

/** An answer that is there so soon after its first token came as a whole, in one piece or a few: that tells no speed. Milliseconds. */
const AT_ONCE = 50;

/** Tokens of the answer per second, from its first token to its end; none where it came as a whole. */
export function speed({ answer, firstMs, totalMs }: Pick<Exchange, 'answer' | 'firstMs' | 'totalMs'>): number | null {
  const output = answer.usage?.output;
  if (!output || firstMs === null || totalMs === null || totalMs - firstMs < AT_ONCE) return null;
  return (output * 1000) / (totalMs - firstMs);
}

/** Which of two is better, where less or more is: the place, or none where they are alike or one is missing. */
export function better(a: number | null | undefined, b: number | null | undefined, most: 'less' | 'more'): 0 | 1 | null {
  if (a == null || b == null || a === b) return null;
  return a < b === (most === 'less') ? 0 : 1;
}
