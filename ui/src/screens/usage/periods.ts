import type { Range } from '../../widgets/range';

export type Period = 'minute' | 'hour' | 'day' | 'month';
export const PERIODS: Period[] = ['minute', 'hour', 'day', 'month'];

const LENGTH = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/** As many rows as a plot can show, and the gateway should sum up. */
const MOST = 1500;

/** The beginning of the period that a time is in. Periods are those of UTC, as the gateway sums them up. */
export function startOf(at: number, period: Period): number {
  if (period !== 'month') return at - (((at % LENGTH[period]) + LENGTH[period]) % LENGTH[period]);
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}

export function nextOf(start: number, period: Period): number {
  if (period !== 'month') return start + LENGTH[period];
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

/** Beginnings of all periods that a stretch touches. */
export function startsOf({ from, to }: Pick<Range, 'from' | 'to'>, period: Period): number[] {
  const starts: number[] = [];
  for (let at = startOf(from, period); at < to && starts.length < MOST; at = nextOf(at, period)) starts.push(at);
  return starts;
}

/** How long sums are kept where nobody says otherwise (`accounting.keep`): those of longer periods reach further back. */
const KEPT: Record<Period, number> = { minute: 2 * LENGTH.day, hour: 60 * LENGTH.day, day: 800 * LENGTH.day, month: Infinity };

/** Periods that make sense for a stretch of this length: still kept, more than a few, and not too many to tell apart. */
export function periodsFor({ from, to }: Pick<Range, 'from' | 'to'>, now = Date.now()): Period[] {
  const length = to - from;
  const kept = PERIODS.filter((period) => from >= now - KEPT[period]);
  const fitting = kept.filter((period) => {
    const count = length / (period === 'month' ? 30 * LENGTH.day : LENGTH[period]);
    return count >= 1.5 && count <= 800;
  });
  return fitting.length > 0 ? fitting : length < LENGTH.day ? kept.slice(0, 1) : ['month'];
}

/** The period a stretch is shown in: the reader's choice where it fits, otherwise about thirty columns. */
export function periodFor(range: Pick<Range, 'from' | 'to'>, chosen: string, now = Date.now()): Period {
  const fitting = periodsFor(range, now);
  const wanted = fitting.find((period) => period === chosen);
  const usual = range.to - range.from <= 6 * LENGTH.hour ? 'minute' : range.to - range.from <= 4 * LENGTH.day ? 'hour' : range.to - range.from <= 200 * LENGTH.day ? 'day' : 'month';
  return wanted ?? fitting.find((period) => period === usual) ?? (fitting[0] as Period);
}

/** A stretch from the beginning of its first period on: sums have no others. */
export function aligned(range: Range, period: Period): Range {
  return { ...range, from: startOf(range.from, period) };
}

/** Whether more may still come. */
export function runs({ to, moving }: Range, now = Date.now()): boolean {
  return moving || to > now;
}

/** What it is compared with: the stretch before it, of which as much is taken as has passed of the one that runs. */
export function before(range: Range, period: Period, now = Date.now()): Range {
  const whole = stretchBefore(range, period);
  if (whole.from < 0) return { ...whole, from: 0, to: Math.max(1, whole.to) };
  if (range.moving || range.to <= now) return whole;
  const passed = startsOf({ from: aligned(range, period).from, to: now }, period).length;
  let to = whole.from;
  for (let count = 0; count < passed; count += 1) to = nextOf(to, period);
  return { ...whole, to: Math.min(to, whole.to) };
}

/** The stretch before it, as long as it: whole months before whole months. */
function stretchBefore(range: Range, period: Period): Range {
  const { from, to } = aligned(range, period);
  const wholeMonths = from === startOf(from, 'month') && to === startOf(to, 'month');
  if (period === 'month' || wholeMonths) {
    const [begins, ends] = [new Date(from), new Date(to)];
    const end = wholeMonths || ends.getTime() === startOf(to, 'month') ? to : nextOf(startOf(to, 'month'), 'month');
    const last = new Date(end);
    const months = (last.getUTCFullYear() - begins.getUTCFullYear()) * 12 + last.getUTCMonth() - begins.getUTCMonth();
    return { from: Date.UTC(begins.getUTCFullYear(), begins.getUTCMonth() - months), to: from, moving: false };
  }
  const count = startsOf({ from, to }, period).length;
  return { from: from - count * LENGTH[period], to: from, moving: false };
}
