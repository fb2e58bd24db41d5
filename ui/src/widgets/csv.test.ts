import { describe, expect, it } from 'vitest';

import { csv, fileName } from './csv';

describe('csv', () => {
  it('quotes what has to be quoted, and leaves empty what is not known', () => {
    expect(csv(['time', 'a "b"'], [['x,y', 1.5], [null, Number.NaN]])).toBe('time,"a ""b"""\r\n"x,y",1.5\r\n,\r\n');
  });

  it('writes no formulas', () => {
    expect(csv(['n'], [['=HYPERLINK("x")'], ['@a'], ['-5'], ['-a']])).toBe(`n\r\n"'=HYPERLINK(""x"")"\r\n'@a\r\n-5\r\n'-a\r\n`);
  });
});

describe('fileName', () => {
  it('keeps letters of every language', () => {
    const now = new Date('2026-11-29T10:00:00Z');
    expect(fileName('Cache hit rate', 'csv', now)).toBe('polyport-cache-hit-rate-2026-11-29.csv');
    expect(fileName('费用 / USD', 'csv', now)).toBe('polyport-费用-usd-2026-11-29.csv');
    expect(fileName('../..', 'csv', now)).toBe('polyport-export-2026-11-29.csv');
  });
});
