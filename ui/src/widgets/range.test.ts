import { describe, expect, it } from 'vitest';

import { isOwn, localText, ownRange, pace, periodOf, rangeOf } from './range';

const none = { range: '', from: '', to: '' };
const now = Date.parse('2026-11-29T12:00:00Z');

describe('rangeOf', () => {
  it('is a span up to now, or the stretch that was chosen', () => {
    expect(rangeOf({ ...none, range: '1h' }, '24h', now)).toEqual({ from: now - 3_600_000, to: now, moving: true });
    const own = { range: '1h', from: '2026-11-01T00:00:00Z', to: '2026-11-02T00:00:00Z' };
    expect(rangeOf(own, '24h', now)).toEqual({ from: Date.parse(own.from), to: Date.parse(own.to), moving: false });
  });

  it('passes over what makes no sense', () => {
    const usual = { from: now - 86_400_000, to: now, moving: true };
    expect(rangeOf({ ...none, range: 'toString' }, '24h', now)).toEqual(usual);
    expect(rangeOf({ ...none, from: '2026-11-02', to: '2026-11-01' }, '24h', now)).toEqual(usual);
    expect(rangeOf({ ...none, from: 'x', to: '9e999' }, '24h', now)).toEqual(usual);
    expect(rangeOf({ ...none, from: '0001-01-01', to: '+020000-01-01T00:00:00Z' }, '24h', now)).toEqual({ from: 0, to: Date.parse('9999-12-30'), moving: false });
    expect(rangeOf({ ...none, from: '0001-01-01', to: '0002-01-01' }, '24h', now)).toEqual(usual);
    expect(isOwn({ ...none, from: '2026-11-02' })).toBe(false);
    expect(localText(rangeOf({ ...none, range: 'all' }, '24h', now).from)).toBe('');
  });
});

describe('ownRange', () => {
  it('is never empty', () => {
    expect(ownRange(now, now)).toEqual({ from: '2026-11-29T12:00:00.000Z', to: '2026-11-29T12:01:00.000Z' });
  });
});

describe('pace and period', () => {
  it('follow the length', () => {
    const of = (hours: number, moving = true) => ({ from: now - hours * 3_600_000, to: now, moving });
    expect([1, 24, 720].map((hours) => pace(of(hours)))).toEqual([10_000, 30_000, 300_000]);
    expect(pace(of(1, false))).toBe(false);
    expect([1, 24, 720].map((hours) => periodOf(of(hours), now))).toEqual(['minute', 'hour', 'day']);
    expect(periodOf(of(1), now + 3 * 86_400_000)).toBe('hour');
  });
});

describe('localText', () => {
  it('is the time of the reader', () => {
    const noon = new Date(2026, 10, 29, 12, 5).getTime();
    expect(localText(noon)).toBe('2026-11-29T12:05');
    expect(localText(Number.NaN)).toBe('');
  });
});
