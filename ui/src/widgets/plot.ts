/** What a plot draws over time. */
export interface PlotSeries {
  label: string;
  /** One for each time; null where nothing is known, which leaves a gap. */
  values: (number | null)[];
  /** What went wrong is red, what matters less is grey; otherwise the next colour. */
  tone?: 'bad' | 'quiet';
  /** What the legend shows while nothing is pointed at, such as the sum. */
  total?: string;
}

export type PlotKind = 'lines' | 'areas' | 'bars';

// Neighbours differ in lightness as well as in hue, and each has 3:1 against the ground of its scheme.
const COLOURS = {
  light: ['#0b7285', '#e8590c', '#3b2a8c', '#2f9e44', '#a61e4d', '#1098ad', '#5c3d00', '#7950f2', '#1b2a41'],
  dark: ['#45bacb', '#ffc078', '#9775fa', '#b2f2bb', '#f06595', '#c5f6fa', '#e67700', '#d0bfff', '#4dabf7'],
};
const TONES = { light: { bad: '#c92a2a', quiet: '#74808a' }, dark: { bad: '#ff8787', quiet: '#98a2a8' } };

export type Scheme = keyof typeof COLOURS;

/** Colours for the lines and words of axes. */
export const AXES = {
  light: { text: '#54636b', grid: '#e4eaec' },
  dark: { text: '#a8b2b8', grid: '#3a3f42' },
};

/** The colour of each series, whichever of them are shown. */
export function coloursOf(series: PlotSeries[], scheme: Scheme): string[] {
  let next = 0;
  return series.map(({ tone }) => (tone ? TONES[scheme][tone] : (COLOURS[scheme][next++ % COLOURS[scheme].length] as string)));
}

/** Each series on top of those before it. Only where nothing at all is known there is nothing to stack. */
export function stacked(columns: (number | null)[][]): (number | null)[][] {
  const length = columns[0]?.length ?? 0;
  const sums = new Array<number | null>(length).fill(null);
  return columns.map((column) =>
    column.map((value, at) => {
      if (value !== null) sums[at] = (sums[at] ?? 0) + value;
      return sums[at] ?? null;
    }),
  );
}

/** Values that stand between gaps: no line leads to them, so they are drawn as points. */
export function lonely(values: (number | null | undefined)[]): number[] {
  return values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
}

/** Whether there is anything to draw. */
export function isKnown(series: PlotSeries[]): boolean {
  return series.some(({ values }) => values.some((value) => value !== null));
}

/** The distance of most times, in milliseconds. */
export function stepOf(times: ArrayLike<number>): number {
  const [first, second] = [times[0], times[1]];
  return first !== undefined && second !== undefined && second > first ? second - first : 60_000;
}

const DAY = 86_400_000;

/** Words below the axis of time, in the reader's zone: the day where it begins, otherwise the time of the day. */
export function timeLabels(at: number[], distance: number, tag: string): string[] {
  const day = new Intl.DateTimeFormat(tag, { month: 'short', day: 'numeric' });
  const time = new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', second: distance < 60_000 ? '2-digit' : undefined, hourCycle: 'h23' });
  return at.map((ms) => {
    const date = new Date(ms);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    return distance >= DAY || midnight ? day.format(date) : time.format(date);
  });
}

/** The ends of the axis of values: from 0, with a little room above. */
export function valueRange(greatest: number | null | undefined, fixed?: number): [number, number] {
  if (fixed !== undefined) return [0, fixed];
  return [0, greatest != null && greatest > 0 ? greatest * 1.08 : 1];
}

/** The bar at a time: it reaches from its own time to the next one. */
export function barAt(times: ArrayLike<number>, time: number): number | null {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) <= time) low = middle + 1;
    else high = middle;
  }
  return low > 0 ? low - 1 : null;
}

/** Where a key leads from a value to another one; null for other keys. Nothing is pointed at before: from the newest backwards, from the oldest onwards. */
export function stepTo(key: string, at: number | null, length: number): number | null {
  const last = length - 1;
  if (last < 0) return null;
  const moves: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
  if (key === 'Home') return 0;
  if (key === 'End') return last;
  const move = moves[key];
  if (move === undefined) return null;
  return at === null ? (move > 0 ? 0 : last) : Math.min(last, Math.max(0, at + move));
}
