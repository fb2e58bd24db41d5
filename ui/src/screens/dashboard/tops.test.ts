import { describe, expect, it } from 'vitest';

import { mainCurrency, ranked } from './tops';

const row = (model: string | null, requests: number, cost: Record<string, string> = {}) => ({ model, requests, cost, tokens: 0, failed: 0 }) as never;

describe('ranked', () => {
  it('compares with the greatest', () => {
    const shown = ranked([row('a', 1), row('b', 4)], 'model', 'requests', undefined);
    expect(shown.map(({ name, share }) => [name, share])).toEqual([['b', 1], ['a', 0.25]]);
  });

  it('compares costs of one currency, and knows nobody', () => {
    const rows = [row('a', 1, { USD: '0.5', CNY: '90' }), row(null, 1, { USD: '1' })];
    expect(mainCurrency(rows)).toBe('USD');
    expect(ranked(rows, 'model', 'cost', 'USD').map(({ name, value }) => [name, value])).toEqual([[null, 1], ['a', 0.5]]);
    expect(ranked([row('a', 0)], 'model', 'cost', undefined)[0]?.share).toBe(0);
  });
});
