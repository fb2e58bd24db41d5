import { describe, expect, it } from 'vitest';

import { changed, draftOf, errorsBy, matches, patchOf, pieces, read, sections, type Setting, widgetOf } from './settings';

const setting = (path: string, more: Partial<Setting> = {}): Setting => ({
  path, value: null, default: null, owner: 'default', kind: 'text', about: '', restart: false, editable: true, ...more,
});

describe('sections', () => {
  it('stand in their order, and what stands at the top comes last', () => {
    const all = ['data', 'zeta.a', 'limits.x', 'accounting.keep.requests', 'notifications.webhooks', 'accounting.currency'].map((path) => setting(path));
    expect(sections(all, () => true).map(({ name, settings }) => [name, settings.length])).toEqual([['accounting', 2], ['limits', 1], ['zeta', 1], ['other', 1]]);
    expect(sections(all, ({ path }) => path === 'data')).toHaveLength(1);
  });
});

describe('matches', () => {
  it('finds every word, wherever it stands', () => {
    const one = setting('accounting.keep.requests', { about: 'Requests and their attempts.', value: '30d' });
    expect(['KEEP', 'attempts 30d', ''].map((text) => matches(one, text))).toEqual([true, true, true]);
    expect(matches(one, 'keep nothing')).toBe(false);
    expect(matches(one, '保留', '请求保留时长')).toBe(true);
  });
});

describe('widgets', () => {
  it('fit what may stand there', () => {
    const of = (more: Partial<Setting>) => widgetOf(setting('a', more));
    expect([of({ kind: 'flag' }), of({ kind: 'duration' }), of({ kind: 'word', words: ['a'] }), of({ kind: 'map' })]).toEqual(['flag', 'text', 'word', 'json']);
    expect([of({ kind: 'list', value: ['a'] }), of({ kind: 'list', value: [{}] }), of({ kind: 'list' }), of({ kind: 'list', words: ['a'] })]).toEqual(['texts', 'json', 'json', 'words']);
  });
});

describe('read', () => {
  const number = setting('a', { kind: 'number' });

  it('answers absurd numbers', () => {
    expect([read(number, '5'), read(number, ' 0.5 '), read(number, '-1')]).toEqual([{ value: 5 }, { value: 0.5 }, { value: -1 }]);
    expect([read(number, '12 apples'), read(number, '0x10'), read(number, 'NaN')]).toEqual([{ mistake: 'number' }, { mistake: 'number' }, { mistake: 'number' }]);
    expect([read(number, '1e400'), read(number, '99999999999999999999')]).toEqual([{ mistake: 'large' }, { mistake: 'large' }]);
  });

  it('takes away what is empty, and leaves texts to the gateway', () => {
    expect(read(number, ' ')).toEqual({ value: null });
    expect(read(setting('a', { kind: 'duration' }), '30 parsecs')).toEqual({ value: '30 parsecs' });
    expect(read(setting('a', { kind: 'map' }), '{"first": "5s"}')).toEqual({ value: { first: '5s' } });
    expect(read(setting('a', { kind: 'map' }), '{')).toEqual({ mistake: 'json' });
    expect(read(setting('a', { kind: 'flag' }), false)).toEqual({ value: false });
  });
});

describe('changes', () => {
  const keep = setting('accounting.keep.requests', { kind: 'duration', value: '30d', default: '30d' });
  const most = setting('limits.requests', { kind: 'number', value: 500, default: 4096, owner: 'database' });

  it('are only what is not as before', () => {
    const once = changed(new Map(), keep, '90d');
    expect([...once]).toEqual([['accounting.keep.requests', '90d']]);
    expect(changed(once, keep, draftOf(keep)).size).toBe(0);
    expect(changed(new Map(), keep, null).size).toBe(0);
    expect(changed(new Map(), most, null).get('limits.requests')).toBeNull();
  });

  it('go as one patch', () => {
    const drafts = new Map([['accounting.keep.requests', '90d'], ['limits.requests', null], ['gone', 'x']]);
    expect(patchOf([keep, most], drafts)).toEqual({ patch: { accounting: { keep: { requests: '90d' } }, limits: { requests: null } }, mistakes: {} });
    expect(patchOf([most], new Map([['limits.requests', 'many']])).mistakes).toEqual({ 'limits.requests': 'number' });
  });

  it('are refused where they were made', () => {
    const prices = setting('accounting.prices', { kind: 'list' });
    expect(errorsBy([keep, prices], { 'accounting.prices[0].models': 'is no list', 'accounting.keep.requests': 'too short', 'hedge': 'x' })).toEqual({
      'accounting.prices': '0.models: is no list', 'accounting.keep.requests': 'too short', hedge: 'x',
    });
  });
});

describe('pieces', () => {
  it('tell code from words', () => {
    expect(pieces('Default: `30d`.')).toEqual(['Default: ', '30d', '.']);
    expect(pieces('a ` b')).toEqual(['a ` b']);
  });
});
