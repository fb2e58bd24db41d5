import { describe, expect, it } from 'vitest';

import { bars, cacheShare, classes, type Row, sums } from './figures';
import { bounds, canFollow, fits, hasFailed, SEARCH, toLiveQuery, toQuery } from './filters';
import { EMPTY, joined, KEPT, readEvent, step } from './live';
import { readLosses, readLossHeader } from './losses';

const row = (id: string, more: Partial<Row> = {}): Row => ({
  id, at: '2026-01-01T00:00:00.000Z', protocol: 'chat', route: 'chat', model: 'm', stream: false, status: 200, outcome: 'answered', duration_ms: 100,
  tokens: 0, cost: {}, losses: 0, attempts: [], ...more,
});

describe('filters', () => {
  it('asks only for what is said', () => {
    expect(toQuery(SEARCH, 1_000_000_000)).toEqual({});
    expect(toQuery({ ...SEARCH, range: '1h', model: ' gpt-5 ', failed: 'true' }, 10_000_000)).toEqual({ from: 6_400_000, model: 'gpt-5', failed: 'true' });
  });

  it('prefers times of one’s own to a preset, and passes over those that make no sense', () => {
    const [from, to] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];
    expect(bounds({ range: '1h', from, to }, 5)).toEqual({ from: Date.parse(from), to: Date.parse(to) });
    expect(bounds({ range: '1h', from: to, to: from }, 3_600_005)).toEqual({ from: 5 });
    expect(bounds({ range: 'nonsense', from: '', to: '' }, 5)).toEqual({});
  });

  it('follows with the filters that the live endpoint takes', () => {
    expect(toLiveQuery({ ...SEARCH, range: '1h', q: 'x', status: '5xx', id: 'req_1' })).toEqual({ status: '5xx' });
    expect(canFollow({ ...SEARCH, from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }, Date.parse('2026-01-03'))).toBe(false);
    expect(canFollow({ ...SEARCH, range: '1h' }, 2000)).toBe(true);
  });

  it('searches what has just ended as the list does', () => {
    expect(fits(row('1', { error: 'Rate LIMIT' }), ' limit ')).toBe(true);
    expect(fits(row('1', { user: { id: 'u', name: 'Ада' } }), 'ада')).toBe(true);
    expect(fits(row('1', { user: { id: 'u', name: null } }), 'u')).toBe(false);
    expect(fits(row('1'), '')).toBe(true);
    expect([fits(row('req_1'), 'req_1'), fits(row('req_12'), 'req_1')]).toEqual([true, false]);
  });
});

describe('figures', () => {
  const attempt = (more: Partial<Row['attempts'][number]>): Row['attempts'][number] => ({
    n: 1, provider: 'p', model: 'm', outcome: 'answered', duration_ms: 0, state: 'settled', charged: true, ending: 'complete', tokens: 0, counts: {},
    unpriced: false, ...more,
  });

  it('adds up classes of what is charged', () => {
    const counted = sums([
      attempt({ counts: { input: 20, input_audio: 5, tool_prompt: 1, cache_read: 60, cache_write_1h: 14, output: 7, reasoning: 3, web_search: 2 } }),
      attempt({ counts: { input: 999 }, charged: false }),
    ]);
    expect(counted).toEqual({ input: 100, cacheRead: 60, cacheWrite: 14, output: 7, reasoning: 3 });
    expect(cacheShare(counted)).toBe(0.6);
    expect(cacheShare(sums([]))).toBeNull();
  });

  it('lays attempts over the time of the request', () => {
    const { scale, bars: laid } = bars(
      row('1', {
        duration_ms: 1000,
        attempts: [
          attempt({ at: '2026-01-01T00:00:00.000Z', duration_ms: 250, status: 500 }),
          attempt({ at: '2026-01-01T00:00:00.500Z', duration_ms: 500, first_token_ms: 125 }),
        ],
      }),
    );
    expect(scale).toBe(1000);
    expect(laid).toEqual([{ start: 0, width: 0.25, first: null }, { start: 0.5, width: 0.5, first: 0.25 }]);
  });

  it('keeps bars within the scale, whatever clocks say', () => {
    const { scale, bars: laid } = bars(row('1', { duration_ms: 100, attempts: [attempt({ at: '2025-12-31T23:59:59Z', duration_ms: 400, first_token_ms: 900 }), attempt({ at: null })] }));
    expect(scale).toBe(400);
    expect(laid).toEqual([{ start: 0, width: 1, first: 1 }, { start: 0, width: 0, first: null }]);
  });

  it('orders classes as they are read', () => {
    expect(classes([{ counts: { web_search: 1, output: 1 } }, { counts: { cache_read: 1, input: 1 } }])).toEqual(['input', 'cache_read', 'output', 'web_search']);
  });

  it('tells what failed as the gateway does', () => {
    expect(['answered', 'client_gone', 'timeout', 'unknown'].map((outcome) => hasFailed(outcome))).toEqual([false, false, true, true]);
  });
});

describe('losses', () => {
  it('reads every entry, details with commas and parentheses too', () => {
    const report = 'max_tokens.defaulted;synthesised /max_tokens (8192), sampling.unsupported;dropped /top_k (a (b), c), id.rewritten;renamed /messages/1';
    expect(readLosses(report)).toEqual({
      losses: [
        { code: 'max_tokens.defaulted', action: 'synthesised', path: '/max_tokens', detail: '8192' },
        { code: 'sampling.unsupported', action: 'dropped', path: '/top_k', detail: 'a (b), c' },
        { code: 'id.rewritten', action: 'renamed', path: '/messages/1', detail: '' },
      ],
      more: 0,
      rest: '',
    });
  });

  it('tells how many did not fit, and keeps what it cannot read', () => {
    expect(readLosses('a.b;dropped /x, and 12 more')).toMatchObject({ losses: [{ code: 'a.b' }], more: 12 });
    expect(readLosses('something else')).toEqual({ losses: [], more: 0, rest: 'something else' });
    expect(readLosses(null)).toEqual({ losses: [], more: 0, rest: '' });
  });

  it('reads the header', () => {
    expect(readLossHeader('a.b;dropped, c.d;renamed')).toEqual([{ code: 'a.b', action: 'dropped' }, { code: 'c.d', action: 'renamed' }]);
    expect(readLossHeader(null)).toEqual([]);
  });
});

describe('live', () => {
  const ids = (rows: readonly Row[]) => rows.map(({ id }) => id);

  it('puts what comes on top, once', () => {
    const tail = step(step(EMPTY, { kind: 'came', rows: [row('1'), row('2')] }), { kind: 'came', rows: [row('2'), row('3')] });
    expect(ids(tail.rows)).toEqual(['3', '2', '1']);
  });

  it('holds what comes while it is paused, and counts it', () => {
    let tail = step(step(EMPTY, { kind: 'came', rows: [row('1')] }), { kind: 'pause' });
    tail = step(tail, { kind: 'came', rows: [row('2'), row('3')] });
    expect([ids(tail.rows), tail.waiting]).toEqual([['1'], 2]);
    tail = step(tail, { kind: 'resume' });
    expect([ids(tail.rows), tail.waiting, tail.paused]).toEqual([['3', '2', '1'], 0, false]);
  });

  it('keeps no more than it may', () => {
    const many = Array.from({ length: KEPT + 50 }, (_, at) => row(`r${at}`));
    let tail = step(step(EMPTY, { kind: 'pause' }), { kind: 'came', rows: many });
    expect([tail.held.length, tail.waiting]).toEqual([KEPT, KEPT + 50]);
    tail = step(tail, { kind: 'resume' });
    expect([tail.rows.length, tail.rows[0]?.id]).toEqual([KEPT, `r${KEPT + 49}`]);
    expect(joined(tail, many, KEPT)).toHaveLength(KEPT);
    expect(joined(EMPTY, many, KEPT)).toHaveLength(KEPT);
    expect(joined(tail, many, Infinity)).toHaveLength(KEPT + 50);
  });

  it('joins what came with the list by the time they began', () => {
    const tail = step(EMPTY, { kind: 'came', rows: [row('long', { at: '2026-01-01T00:00:01.000Z' }), row('new', { at: '2026-01-01T00:00:03.000Z' })] });
    expect(ids(joined(tail, [row('listed', { at: '2026-01-01T00:00:02.000Z' }), row('long', { at: '2026-01-01T00:00:01.000Z' })], KEPT))).toEqual(['new', 'listed', 'long']);
  });

  it('reads events and leaves out what it cannot read', () => {
    expect(readEvent('request', '{"id":"req_1"}')).toEqual({ kind: 'came', rows: [{ id: 'req_1' }] });
    expect(readEvent('missed', '{"requests":7}')).toEqual({ kind: 'missed', count: 7 });
    expect([readEvent('request', '{"id":'), readEvent('request', 'null'), readEvent('other', '{}')]).toEqual([null, null, null]);
  });
});
