import type { Item } from './parse';

/** One call takes so many, and so much; smaller parts show how it goes on. */
const ENTRIES = 5_000;
const BYTES = 6_000_000;

/** Cuts what is to be sent into calls. */
export function batchesOf(items: Item[], most = ENTRIES, bytes = BYTES): Item[][] {
  const batches: Item[][] = [];
  let current: Item[] = [];
  let size = 0;
  for (const item of items) {
    if (!item.entry) continue;
    const length = lengthOf(item.entry);
    if (current.length > 0 && (current.length >= most || size + length > bytes)) {
      batches.push(current);
      current = [];
      size = 0;
    }
    current.push(item);
    size += length;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}

function lengthOf(entry: Record<string, unknown>): number {
  let length = 20;
  for (const [name, value] of Object.entries(entry)) length += name.length + 6 + (typeof value === 'string' ? value.length : 8);
  return length;
}

/** Runs `act` for each, a few at a time, until `signal` ends it; one that goes wrong does not stop the others. */
export async function eachOf<T>(all: readonly T[], atOnce: number, signal: AbortSignal, act: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < all.length && !signal.aborted) {
      const one = all[next] as T;
      next += 1;
      await act(one);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
}
