import { describe, expect, it } from 'vitest';

import { after, byNeed, type Live, type LiveProvider, NOTHING, type Second, sums } from './live';

const second = (at: number, more: Partial<Second> = {}): Second => ({
  at: new Date(Date.UTC(2026, 10, 29, 12) + at * 1000).toISOString(), requests: 0, failed: 0, in_flight: 0, input: 0, output: 0, cache_read: 0,
  cache_write: 0, reasoning: 0, cost: {}, latency_ms: null, first_token_ms: null, cache_hit_rate: null, ...more,
});
const follow = (live: Live, event: string, data: unknown) => after(live, { event, data: JSON.stringify(data) });

describe('what is live', () => {
  it('keeps five minutes, and no second twice', () => {
    let live = follow(NOTHING, 'past', { seconds: [second(0), second(1)] });
    live = follow(live, 'second', second(2, { requests: 3 }));
    live = follow(live, 'second', second(2, { requests: 3 }));
    expect(live.seconds.map(({ requests }) => requests)).toEqual([0, 0, 3]);
    live = follow(live, 'second', second(301));
    expect(live.seconds).toHaveLength(2);
  });

  it('begins anew after a break, with what the gateway remembers', () => {
    const before = follow(NOTHING, 'past', { seconds: [second(0), second(1)] });
    expect(follow(before, 'past', { seconds: [second(90)] }).seconds).toHaveLength(1);
  });

  it('passes over what it cannot read', () => {
    const live = follow(NOTHING, 'past', { seconds: [second(0)] });
    expect(after(live, { event: 'second', data: '{' })).toBe(live);
    expect(follow(live, 'second', { ...second(1), at: 'soon' })).toBe(live);
    expect(follow(live, 'missed', { seconds: 3 })).toBe(live);
  });
});

describe('sums', () => {
  const live = follow(NOTHING, 'past', {
    seconds: [
      second(0, { requests: 100 }),
      second(59, { requests: 4, failed: 1, input: 30, output: 5, cache_read: 10, cost: { USD: '0.5' } }),
      second(60, { requests: 6, cost: { USD: '0.25', CNY: '1' } }),
    ],
  });

  it('are of the last seconds only', () => {
    expect(sums(live, 10)).toEqual({ seconds: 2, requests: 10, failed: 1, tokens: 45, cost: { USD: '0.75', CNY: '1' }, errorRate: 0.1, cacheHitRate: 0.25 });
  });

  it('know no rates of nothing', () => {
    expect(sums(NOTHING, 10)).toMatchObject({ seconds: 0, errorRate: null, cacheHitRate: null });
  });
});

describe('byNeed', () => {
  it('shows first what somebody has to look at', () => {
    const one = (name: string, state: LiveProvider['state'], requests = 0, failed = 0) => ({ name, state, requests, failed, in_flight: 0 });
    const shown = byNeed([one('idle', 'ready'), one('busy', 'ready', 9), one('failing', 'ready', 3, 1), one('off', 'disabled'), one('rests', 'cooling')]);
    expect(shown.map(({ name }) => name)).toEqual(['rests', 'failing', 'busy', 'idle', 'off']);
  });
});
