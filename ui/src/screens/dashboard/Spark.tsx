/** A point of a line, or null for a gap. */
type Point = { time: number; value: number | null };

const WIDTH = 300;
const HEIGHT = 32;

/** The path through points within `past` milliseconds before `end`; empty where there is nothing. */
export function sparkPath(points: Point[], end: number, past: number): string {
  const greatest = Math.max(0, ...points.map(({ value }) => value ?? 0)) || 1;
  let path = '';
  let drawing = false;
  for (const { time, value } of points) {
    if (value === null) {
      drawing = false;
      continue;
    }
    const x = WIDTH * (1 - (end - time) / past);
    const y = HEIGHT - 1 - (value / greatest) * (HEIGHT - 3);
    // A point alone is a short dash.
    path += drawing ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h3`;
    drawing = true;
  }
  return path;
}

/** The last minutes as a small line; what it says stands beside it as text. */
export function Spark({ points, end, past, bad }: { points: Point[]; end: number; past: number; bad?: boolean }) {
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width="100%" height={HEIGHT} preserveAspectRatio="none" aria-hidden>
      <path
        d={sparkPath(points, end, past)}
        fill="none"
        stroke={bad ? 'var(--mantine-color-red-6)' : 'light-dark(var(--mantine-color-harbour-7), var(--mantine-color-harbour-4))'}
        strokeWidth={1.75}
        strokeLinecap="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
