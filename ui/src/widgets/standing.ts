/** How much of a limit is used, as a share of one. A limit of nothing is used up. */
export function usedShare(amount: number | string, left: number | string): number {
  const [whole, rest] = [Number(amount), Number(left)];
  if (!(whole > 0)) return 1;
  return Math.min(1, Math.max(0, 1 - rest / whole));
}

/** The colour of the bar: the words beside it say the same. */
export function colourOf(share: number): string {
  if (share >= 1) return 'red';
  return share >= 0.8 ? 'orange' : 'teal';
}
