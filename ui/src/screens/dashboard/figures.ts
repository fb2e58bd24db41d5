import type { Schemas } from '../../api/client';
import type { PlotSeries } from '../../widgets/plot';
import type { Format } from '../../widgets/format';

/** Figures of a stretch of time. */
export type Overview = Schemas['Overview'];
export type Figures = Schemas['Figures'];

export const CLASSES = ['input', 'cache_read', 'cache_write', 'output', 'reasoning'] as const;
const PERCENTS = ['p50', 'p90', 'p95', 'p99'] as const;

type Words = (key: string) => string;

export function timesOf({ series }: Overview): number[] {
  return series.map(({ starts }) => Date.parse(starts ?? ''));
}

/** The currencies there are, the one that is spent most often first. */
export function currenciesOf({ total }: Overview): string[] {
  return Object.keys(total.cost).sort();
}

/** What each plot of the dashboard shows of an overview. */
export function plotsOf({ series, total }: Overview, t: Words, format: Format) {
  const requests: PlotSeries[] = [
    { label: t('ok'), values: series.map(({ ok }) => ok), total: format.short(total.ok) },
    { label: t('failed'), values: series.map(({ failed }) => failed), total: format.short(total.failed), tone: 'bad' },
  ];
  const left = total.requests - total.ok - total.failed;
  if (left > 0) {
    requests.push({ label: t('left'), values: series.map((row) => row.requests - row.ok - row.failed), total: format.short(left), tone: 'quiet' });
  }
  const tokens = CLASSES.filter((name) => total[name] > 0 || name === 'input' || name === 'output').map(
    (name): PlotSeries => ({ label: t(`classes.${name}`), values: series.map((row) => row[name]), total: format.short(total[name]) }),
  );
  // Where nothing was asked, nothing was spent; where something was and no price is known, so is the cost.
  const cost = Object.keys(total.cost)
    .sort()
    .map((currency): PlotSeries => ({
      label: currency,
      values: series.map((row) => (row.cost[currency] !== undefined ? Number(row.cost[currency]) : row.requests === 0 || !row.unpriced ? 0 : null)),
      total: format.money({ [currency]: total.cost[currency] as string }),
    }));
  const percentiles = (name: 'latency_ms' | 'first_token_ms') =>
    PERCENTS.map((percent): PlotSeries => ({
      label: percent,
      values: series.map((row) => row[name]?.[percent] ?? null),
      total: format.duration(total[name]?.[percent]),
    }));
  const cache: PlotSeries[] = [{ label: t('cacheHitRate'), values: series.map((row) => row.cache_hit_rate ?? null), total: format.percent(total.cache_hit_rate) }];
  return { requests, tokens, cost, latency: percentiles('latency_ms'), firstToken: percentiles('first_token_ms'), cache };
}
