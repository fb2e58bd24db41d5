import { describe, expect, it } from 'vitest';

import { makeFormat } from '../../widgets/format';
import { type Figures, type Overview, plotsOf, timesOf } from './figures';

const none: Figures = {
  requests: 0, ok: 0, failed: 0, error_rate: null, input: 0, output: 0, cache_read: 0, cache_write: 0, reasoning: 0, tokens: 0, cost: {}, unpriced: 0,
  cache_hit_rate: null, latency_ms: null, first_token_ms: null,
};
const row = (minute: number, more: Partial<Figures>) => ({ ...none, ...more, starts: `2026-11-29T12:0${minute}:00Z` });
const overview: Overview = {
  from: null, to: null, step: 'minute',
  total: { ...none, requests: 9, ok: 6, failed: 2, input: 10, output: 5, cost: { USD: '0.5' } },
  series: [
    row(0, { requests: 5, ok: 4, failed: 1, cost: { USD: '0.5' }, latency_ms: { p50: 1, p90: 2, p95: 3, p99: 4 } }),
    row(1, {}),
    row(2, { requests: 4, ok: 2, failed: 1, unpriced: 2 }),
  ],
};
const plots = plotsOf(overview, (key) => key, makeFormat('en'));

describe('plotsOf', () => {
  it('tells those who left from those that failed', () => {
    expect(plots.requests.map(({ label, values }) => [label, values])).toEqual([
      ['ok', [4, 0, 2]], ['failed', [1, 0, 1]], ['left', [0, 0, 1]],
    ]);
  });

  it('knows no cost where no price is known, and none where nothing was asked', () => {
    expect(plots.cost).toEqual([{ label: 'USD', values: [0.5, 0, null], total: '$0.50' }]);
  });

  it('leaves gaps where nobody waited', () => {
    expect(plots.latency[2]).toEqual({ label: 'p95', values: [3, null, null], total: '–' });
    expect(plots.cache[0]?.values).toEqual([null, null, null]);
  });

  it('shows only classes of tokens that there are', () => {
    expect(plots.tokens.map(({ label }) => label)).toEqual(['classes.input', 'classes.output']);
  });

  it('reads times', () => {
    expect(timesOf(overview)[1]).toBe(Date.UTC(2026, 10, 29, 12, 1));
  });
});
