const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Stretches of time that end now; `all` has no beginning. */
export const SPANS = { '15m': 15 * MINUTE, '1h': HOUR, '6h': 6 * HOUR, '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, '90d': 90 * DAY, '365d': 365 * DAY, all: Infinity } as const;
export type Span = keyof typeof SPANS;

/** What stands in the address: the name of a span, and, where the reader chose a stretch of their own, its ends as RFC 3339. */
export type RangeSearch = { range: string; from: string; to: string };

/** The gateway knows times from 1970 to the year 9999. */
const LAST = Date.UTC(9999, 11, 30);

/** A stretch of time, in Unix milliseconds. */
export interface Range {
  from: number;
  to: number;
  /** It ends now, and moves on. */
  moving: boolean;
}

export function isSpan(text: string): text is Span {
  return Object.hasOwn(SPANS, text);
}

/** Reads an address that somebody may have typed: what makes no sense is passed over. */
export function rangeOf(search: RangeSearch, usual: Span, now = Date.now()): Range {
  const [from, to] = [Date.parse(search.from), Date.parse(search.to)];
  if (from < to && from < LAST && to > 0) return { from: Math.max(0, from), to: Math.min(to, LAST), moving: false };
  return { from: now - SPANS[isSpan(search.range) ? search.range : usual], to: now, moving: true };
}

/** Whether the reader chose a stretch of their own. */
export function isOwn(search: RangeSearch): boolean {
  return Date.parse(search.from) < Date.parse(search.to);
}

/** What the address says of a stretch. */
export function ownRange(from: number, to: number): Pick<RangeSearch, 'from' | 'to'> {
  // A stretch shorter than a minute holds nothing that is summed up.
  const end = Math.max(to, from + MINUTE);
  return { from: new Date(from).toISOString(), to: new Date(end).toISOString() };
}

/** How often what is shown of it should be asked for again, in milliseconds. */
export function pace({ from, to, moving }: Range): number | false {
  if (!moving) return false;
  const length = to - from;
  return length <= 2 * HOUR ? 10_000 : length <= DAY ? 30_000 : 5 * MINUTE;
}

/** The longest period of sums that meets the ends of a stretch well enough and is still kept where nobody says otherwise. */
export function periodOf({ from, to }: Range, now = Date.now()): 'minute' | 'hour' | 'day' {
  const length = to - from;
  if (length <= 6 * HOUR && from >= now - 2 * DAY) return 'minute';
  return length <= 4 * DAY && from >= now - 60 * DAY ? 'hour' : 'day';
}

/** As `<input type="datetime-local">` has it: in the reader's zone, without naming it. */
export function localText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? '' : new Date(ms - date.getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);
}

/** A calendar month of UTC: 0 is the one that runs, -1 the one before it. */
export function monthOf(offset: number, now = Date.now()): { from: number; to: number } {
  const date = new Date(now);
  const month = (add: number) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset + add);
  return { from: month(0), to: month(1) };
}
