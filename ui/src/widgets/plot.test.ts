import { describe, expect, it } from 'vitest';

import { barAt, coloursOf, isKnown, lonely, stacked, stepTo, timeLabels, valueRange } from './plot';

/** Relative luminance (WCAG 2.2). */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const contrast = (one: string, other: string) => {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};

describe('colours', () => {
  const series = Array.from({ length: 9 }, (_, at) => ({ label: String(at), values: [] }));

  it.each([['light', '#ffffff'], ['dark', '#242424']] as const)('can be seen on the ground of the %s scheme', (scheme, ground) => {
    for (const colour of coloursOf([...series, { label: 'bad', values: [], tone: 'bad' }, { label: 'quiet', values: [], tone: 'quiet' }], scheme)) {
      expect(contrast(colour, ground), colour).toBeGreaterThan(3);
    }
  });

  it.each(['light', 'dark'] as const)('of neighbours differ in lightness in the %s scheme', (scheme) => {
    const colours = coloursOf(series, scheme);
    colours.slice(1).forEach((colour, at) => expect(contrast(colour, colours[at] as string), `${colours[at]} ${colour}`).toBeGreaterThan(1.4));
  });

  it('stay with their series', () => {
    const [ok, failed, other] = coloursOf([{ label: 'ok', values: [] }, { label: 'failed', values: [], tone: 'bad' }, { label: 'x', values: [] }], 'light');
    expect(failed).toBe('#c92a2a');
    expect(ok).not.toBe(other);
  });
});

describe('stacked', () => {
  it('lays each on those before, and keeps what is not known at all', () => {
    expect(stacked([[1, null, 2], [3, null, null]])).toEqual([[1, null, 2], [4, null, 2]]);
    expect(stacked([])).toEqual([]);
  });
});

describe('gaps', () => {
  it('leave points that nothing leads to', () => {
    expect(lonely([1, null, 2, null, 3, 4])).toEqual([0, 2]);
    expect(lonely([])).toEqual([]);
  });

  it('that are everything leave nothing to draw', () => {
    expect(isKnown([{ label: 'a', values: [null, null] }])).toBe(false);
    expect(isKnown([{ label: 'a', values: [null, 0] }])).toBe(true);
  });
});

describe('timeLabels', () => {
  const at = (text: string) => new Date(text).getTime();

  it('tell the day where it begins, and seconds where they matter', () => {
    expect(timeLabels([at('2026-11-29T23:00:00'), at('2026-11-30T00:00:00')], 3_600_000, 'en')).toEqual(['23:00', 'Nov 30']);
    expect(timeLabels([at('2026-11-29T23:00:05')], 5000, 'en')).toEqual(['23:00:05']);
    expect(timeLabels([at('2026-11-29T12:00:00')], 86_400_000, 'zh-CN')).toEqual(['11月29日']);
  });
});

describe('valueRange', () => {
  it('begins at 0 and never is empty', () => {
    expect(valueRange(null)).toEqual([0, 1]);
    expect(valueRange(0)).toEqual([0, 1]);
    expect(valueRange(100)).toEqual([0, 108]);
    expect(valueRange(0.2, 1)).toEqual([0, 1]);
  });
});

describe('barAt', () => {
  it('finds what a time is in', () => {
    expect([5, 10, 19, 20, 99].map((time) => barAt([10, 20, 30], time))).toEqual([null, 0, 0, 1, 2]);
    expect(barAt([], 5)).toBeNull();
  });
});

describe('stepTo', () => {
  it('goes from value to value with the keys', () => {
    expect([stepTo('End', null, 5), stepTo('ArrowLeft', 4, 5), stepTo('ArrowLeft', null, 5), stepTo('ArrowRight', null, 5)]).toEqual([4, 3, 4, 0]);
    expect([stepTo('PageDown', 1, 5), stepTo('Home', 3, 5), stepTo('ArrowRight', 4, 5), stepTo('a', 1, 5), stepTo('End', null, 0)]).toEqual([4, 0, 4, null, null]);
  });
});
