import { describe, expect, it } from 'vitest';

import { formatTagOf } from '../app/i18n';
import { makeFormat } from './format';

describe('makeFormat', () => {
  const en = makeFormat('en');
  const zh = makeFormat('zh');

  it('writes durations in units that fit', () => {
    expect([4.25, 820, 1400, 59_900, 59_990, 119_700, 185_000, 7_260_000, 200_000_000].map(en.duration)).toEqual([
      '4.3 ms', '820 ms', '1.4 s', '59.9 s', '1 min 0 sec', '2 min 0 sec', '3 min 5 sec', '2 hr 1 min', '2 days 7 hr',
    ]);
    expect(zh.duration(185_000)).toBe('3分钟 5秒');
  });

  it('says how long ago something was in the unit that it is rounded to', () => {
    const ago = (seconds: number) => en.ago(Date.now() - seconds * 1000);
    expect([59.7, 3_570, 3_540, 86_399].map(ago)).toEqual(['1 minute ago', '1 hour ago', '59 minutes ago', 'yesterday']);
  });

  it('shows small sums of money with the digits that matter', () => {
    expect(en.money({ USD: '0.000123' })).toBe('$0.000123');
    expect(en.money({ USD: '12.345' })).toBe('$12.35');
    expect(en.money({ USD: '1', CNY: '2' })).toContain(' + ');
    expect(en.money({ points: '7' })).toBe('7 points');
  });

  it('has a sign for what is not known, and no zero', () => {
    for (const write of [en.number, en.percent, en.duration, en.time, en.ago, en.short]) expect(write(null)).toBe('–');
    expect(en.time('never')).toBe('–');
    expect(en.money({})).toBe('–');
  });

  it('writes axes with the digits that matter', () => {
    expect([0, 0.00002, 0.025, 0.30000000000000004, 40, 12_500].map(en.axis)).toEqual(['0', '0.00002', '0.025', '0.3', '40', '12.5K']);
  });

  it('follows the region of the reader where it is one of this language and script', () => {
    expect(formatTagOf('en', ['de-DE', 'en-GB', 'en-US'])).toBe('en-GB');
    expect(formatTagOf('zh', ['zh-TW', 'zh-SG'])).toBe('zh-SG');
    expect(formatTagOf('zh', ['zh-TW', 'en-GB'])).toBe('zh-CN');
    expect(formatTagOf('en', ['no_tag!', 'fr-FR'])).toBe('en');
  });

  it('follows the language', () => {
    expect(zh.short(12_000)).toBe('1.2万');
    expect(en.short(12_000)).toBe('12K');
    expect(en.number(1234567)).toBe('1,234,567');
  });

  it('tells the year of a day only where it is another one', () => {
    const at = new Date();
    expect(makeFormat('en').day(at.toISOString())).not.toContain(String(at.getFullYear()));
    expect(makeFormat('en').day('2001-02-03T12:00:00Z')).toBe('Feb 3, 2001');
    expect(makeFormat('zh').day('never')).toBe('–');
  });
});
