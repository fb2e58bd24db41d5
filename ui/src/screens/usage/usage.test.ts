import { describe, expect, it } from 'vitest';

import { aligned, before, periodFor, periodsFor, runs, startsOf } from './periods';
import { monthOf } from '../../widgets/range';
import { change, currenciesOf, dimensionsOf, filtersOf, readBy, type Row, seriesOf, tableOf } from './sums';

const at = (text: string) => Date.parse(text);
const range = (from: string, to: string) => ({ from: at(from), to: at(to), moving: false });
const row = (more: Partial<Row>): Row =>
  ({ requests: 0, ok: 0, failed: 0, attempts: 0, input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0, tokens: 0, estimated: 0, unpriced: 0, duration_ms: 0, cost: {}, ...more }) as Row;

describe('periods', () => {
  it('are those of UTC', () => {
    const days = startsOf(range('2026-11-28T23:30:00Z', '2026-11-30T00:00:00Z'), 'day');
    expect(days.map((day) => new Date(day).toISOString())).toEqual(['2026-11-28T00:00:00.000Z', '2026-11-29T00:00:00.000Z']);
    expect(startsOf(range('2025-11-28T00:00:00Z', '2026-02-01T00:00:00Z'), 'month')).toHaveLength(3);
    expect(startsOf(range('1970-01-01T00:00:00Z', '2026-02-01T00:00:00Z'), 'minute')).toHaveLength(1500);
  });

  it('fit the stretch, whatever was chosen', () => {
    const now = at('2026-12-01T00:00:00Z');
    const month = range('2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z');
    expect(periodsFor(month, now)).toEqual(['hour', 'day']);
    expect(['', 'hour', 'minute'].map((chosen) => periodFor(month, chosen, now))).toEqual(['day', 'hour', 'day']);
    expect(periodFor(range('2026-11-30T23:00:00Z', '2026-12-01T00:00:00Z'), '', now)).toBe('minute');
    expect(periodFor(range('2026-11-30T23:59:30Z', '2026-12-01T00:00:00Z'), '', now)).toBe('minute');
    expect(periodFor(range('2020-01-01T00:00:00Z', '2026-11-01T00:00:00Z'), '', now)).toBe('month');
    expect(periodFor(range('1000-01-01T00:00:00Z', '2026-11-01T00:00:00Z'), '', now)).toBe('month');
  });

  it('reach as far back as sums are kept', () => {
    const now = at('2026-12-01T00:00:00Z');
    expect(periodFor(range('2026-11-20T10:00:00Z', '2026-11-20T11:00:00Z'), 'minute', now)).toBe('hour');
    expect(periodFor(range('2026-05-20T10:00:00Z', '2026-05-20T15:00:00Z'), '', now)).toBe('day');
  });

  it('before a stretch are as many', () => {
    const days = range('2026-11-23T10:00:00Z', '2026-11-29T10:00:00Z');
    expect(aligned(days, 'day').from).toBe(at('2026-11-23T00:00:00Z'));
    expect(before(days, 'day')).toEqual({ from: at('2026-11-16T00:00:00Z'), to: at('2026-11-23T00:00:00Z'), moving: false });
    expect(before(range('2026-11-29T09:00:00Z', '2026-11-29T12:00:00Z'), 'hour').from).toBe(at('2026-11-29T06:00:00Z'));
  });

  it('before a month are those of the month before, however long', () => {
    const march = monthOf(0, at('2026-03-15T00:00:00Z'));
    expect(before({ ...march, moving: false }, 'day')).toEqual({ from: at('2026-02-01T00:00:00Z'), to: at('2026-03-01T00:00:00Z'), moving: false });
    expect(monthOf(-1, at('2026-01-15T00:00:00Z'))).toEqual({ from: at('2025-12-01T00:00:00Z'), to: at('2026-01-01T00:00:00Z') });
    const days = (now: string) => before({ ...march, moving: false }, 'day', at(now));
    expect(days('2026-03-15T12:00:00Z')).toEqual({ from: at('2026-02-01T00:00:00Z'), to: at('2026-02-16T00:00:00Z'), moving: false });
    expect(days('2026-03-31T12:00:00Z').to).toBe(at('2026-03-01T00:00:00Z'));
    expect([runs({ ...march, moving: false }, at('2026-03-15T00:00:00Z')), runs({ ...march, moving: false }, march.to)]).toEqual([true, false]);
    expect(before(range('1970-01-01T00:00:00Z', '9999-12-31T00:00:00Z'), 'month', at('2026-11-29T00:00:00Z'))).toEqual({ from: 0, to: 1, moving: false });
    const year = range('2025-11-29T10:00:00Z', '2026-11-29T10:00:00Z');
    expect(before(year, 'month')).toEqual({ from: at('2024-10-01T00:00:00Z'), to: at('2025-11-01T00:00:00Z'), moving: false });
  });
});

describe('what is told apart', () => {
  it('is what the role may see', () => {
    expect(dimensionsOf('member')).toEqual(['model', 'key', 'provider']);
    expect(dimensionsOf('manager')).not.toContain('credential');
    expect(readBy('credential,key,key,x', dimensionsOf('member'))).toEqual(['key']);
    expect(readBy('', dimensionsOf('admin'))).toEqual(['model']);
  });

  it('can be asked for unless it is nothing', () => {
    expect(filtersOf(row({ key: 'k', model: 'm' }), ['key', 'model'])).toEqual({ of_key: 'k', model: 'm' });
    expect(filtersOf(row({ key: 'k', user: null }), ['key', 'user'])).toBeNull();
  });
});

describe('sums', () => {
  it('of several currencies are kept apart', () => {
    const rows = [row({ cost: { USD: '1', CNY: '2' } }), row({ cost: { CNY: '1' } })];
    expect(currenciesOf(rows)).toEqual(['CNY', 'USD']);
  });

  it('tell how much more it is', () => {
    expect(change(3, 2)).toEqual({ by: 1, rate: 0.5 });
    expect(change(3, 0)).toEqual({ by: 3, rate: null });
  });

  it('leave what the greatest do not have to others', () => {
    const starts = [at('2026-11-28T00:00:00Z'), at('2026-11-29T00:00:00Z')];
    const day = (text: string, requests: number) => row({ starts: text, requests });
    const all = [day('2026-11-28T00:00:00.000Z', 5), day('2026-11-29T00:00:00.000Z', 2)];
    const groups = [{ label: 'a', rows: [day('2026-11-28T00:00:00.000Z', 3)] }];
    expect(seriesOf(all, groups, starts, 'requests', '', 'others').map(({ label, values }) => [label, values])).toEqual([
      ['a', [3, 0]], ['others', [2, 2]],
    ]);
    expect(seriesOf(all, [], starts, 'requests', '', 'all')[0]?.tone).toBeUndefined();
  });
});

describe('tableOf', () => {
  it('has a column for each currency, names with their ids, and what was before', () => {
    const rows = [row({ key: 'k1', key_name: 'laptop', requests: 2, duration_ms: 500, cost: { USD: '0.000000000001' } })];
    const earlier = new Map([['["k1"]', row({ key: 'k1', requests: 1, cost: { CNY: '3' } })]]);
    const { head, rows: shown } = tableOf(rows, ['key'], earlier);
    const cell = (name: string) => shown[0]?.[head.indexOf(name)];
    expect(head.slice(0, 2)).toEqual(['key', 'key_id']);
    expect([cell('key'), cell('key_id'), cell('cost_USD'), cell('cost_CNY'), cell('mean_ms')]).toEqual(['laptop', 'k1', '0.000000000001', null, 250]);
    expect([cell('before_requests'), cell('before_cost_CNY')]).toEqual([1, '3']);
    expect(shown[0]).toHaveLength(head.length);
  });
});
