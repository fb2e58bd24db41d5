import type { Schemas } from '../../api/client';

export type Row = Schemas['Request'];
export type Attempt = Schemas['Attempt2'];

/** Tokens by what they were for. */
export interface Sums {
  /** Of the prompt, whether fresh or from a cache. */
  input: number;
  cacheRead: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
}

/** Adds up the classes of attempts, as the gateway does for limits. */
export function sums(attempts: readonly Pick<Attempt, 'counts' | 'charged'>[]): Sums {
  const total: Sums = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
  for (const { counts, charged } of attempts) {
    if (!charged) continue;
    for (const [name, count] of Object.entries(counts)) {
      if (name.startsWith('cache_read')) total.cacheRead += count;
      else if (name.startsWith('cache_write')) total.cacheWrite += count;
      else if (name.startsWith('output')) total.output += count;
      else if (name === 'reasoning') total.reasoning += count;
      else if (name.startsWith('input') || name === 'tool_prompt') total.input += count;
    }
  }
  total.input += total.cacheRead + total.cacheWrite;
  return total;
}

/** The share of the prompt that came from a cache; none where nothing was asked. */
export function cacheShare({ input, cacheRead }: Sums): number | null {
  return input > 0 ? cacheRead / input : null;
}

/** The one that answered, or the last that was tried. */
export function lastAttempt(row: Pick<Row, 'attempts'>): Attempt | undefined {
  return row.attempts.at(-1);
}

/** Where the bar of an attempt stands, in parts of the time of the whole request. */
export interface Bar {
  start: number;
  width: number;
  /** Where its first token came, in parts of the bar. */
  first: number | null;
}

/**
 * The attempts over the time of the request. An attempt may outlast the request (an answer that is read to its end for nobody), and clocks may
 * differ by a little: the scale is as long as the longest, and nothing begins before the request.
 */
export function bars(row: Pick<Row, 'at' | 'duration_ms' | 'attempts'>): { scale: number; bars: Bar[] } {
  const begins = row.at ? Date.parse(row.at) : Number.NaN;
  const spans = row.attempts.map((attempt) => {
    const at = attempt.at ? Date.parse(attempt.at) - begins : Number.NaN;
    return { start: Number.isNaN(at) ? 0 : Math.max(0, at), took: attempt.duration_ms, first: attempt.first_token_ms ?? null };
  });
  const scale = Math.max(1, row.duration_ms, ...spans.map(({ start, took }) => start + took));
  return {
    scale,
    bars: spans.map(({ start, took, first }) => ({
      start: start / scale,
      width: took / scale,
      first: first === null || took === 0 ? null : Math.min(1, first / took),
    })),
  };
}

/** The classes that attempts have counts of, the usual ones first. */
export function classes(attempts: readonly Pick<Attempt, 'counts'>[]): string[] {
  const order = ['input', 'cache_read', 'cache_write', 'output', 'reasoning'];
  const rank = (name: string) => {
    const at = order.findIndex((start) => name.startsWith(start));
    return at < 0 ? order.length : at;
  };
  const found = new Set(attempts.flatMap(({ counts }) => Object.keys(counts)));
  return [...found].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
