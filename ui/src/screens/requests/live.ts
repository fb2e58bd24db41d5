import type { Row } from './figures';

/** Rows that are kept while requests are followed; older ones are in the list when following ends. */
export const KEPT = 1000;

/** What has come since following began. */
export interface Tail {
  /** The newest first. */
  rows: readonly Row[];
  /** What comes is not shown for the time being. */
  paused: boolean;
  /** What came meanwhile, the newest first. */
  held: readonly Row[];
  /** How many came meanwhile. */
  waiting: number;
  /** How many the gateway could not tell because they came too fast. */
  missed: number;
}

export const EMPTY: Tail = { rows: [], paused: false, held: [], waiting: 0, missed: 0 };

export type Step = { kind: 'came'; rows: readonly Row[] } | { kind: 'missed'; count: number } | { kind: 'pause' } | { kind: 'resume' } | { kind: 'start' };

export function step(tail: Tail, step: Step): Tail {
  switch (step.kind) {
    case 'came': {
      const known = new Set([...tail.rows, ...tail.held].map((row) => row.id));
      const fresh = step.rows.filter((row) => !known.has(row.id)).toReversed();
      if (fresh.length === 0) return tail;
      if (tail.paused) return { ...tail, held: [...fresh, ...tail.held].slice(0, KEPT), waiting: tail.waiting + fresh.length };
      return { ...tail, rows: [...fresh, ...tail.rows].slice(0, KEPT) };
    }
    case 'missed':
      return { ...tail, missed: tail.missed + step.count };
    case 'pause':
      return { ...tail, paused: true };
    case 'resume':
      return { ...tail, paused: false, rows: [...tail.held, ...tail.rows].slice(0, KEPT), held: [], waiting: 0 };
    case 'start':
      return EMPTY;
  }
}

/**
 * What has come together with what the list holds, in the list's order: by when they began. Never more than `most`, so that a list that grows
 * at its top does not grow without end.
 */
export function joined(tail: Tail, list: Row[], most: number): Row[] {
  if (tail.rows.length === 0) return list.length > most ? list.slice(0, most) : list;
  const known = new Set(tail.rows.map((row) => row.id));
  const all = [...tail.rows, ...list.filter((row) => !known.has(row.id))];
  return all.sort((a, b) => (b.at ?? '').localeCompare(a.at ?? '')).slice(0, most);
}

/** Reads an event of the live endpoint; what cannot be read is left out. */
export function readEvent(event: string, data: string): Step | null {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value !== 'object' || value === null) return null;
    if (event === 'request' && 'id' in value) return { kind: 'came', rows: [value as Row] };
    if (event === 'missed' && 'requests' in value) return { kind: 'missed', count: Number(value.requests) || 0 };
  } catch {
    // An event that broke off.
  }
  return null;
}
