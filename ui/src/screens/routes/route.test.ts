import { describe, expect, it } from 'vitest';

import { contains, matches, sample, stars } from './pattern';
import { changeOf, definitionOf, draftOf, EMPTY, goesFirst, holds, inOrder, isEmpty, type Route, whenOf } from './route';

const FULL: Route = {
  origin: 'database',
  id: '1',
  index: 4,
  name: 'all',
  match: { model: 'gpt-*', model_contains: ['mini'], protocol: 'chat', header: { 'x-team': 'a*' }, caller: ['ci'] },
  to: 'openai',
  priority: 3,
  overrides: false,
  mode: 'direct',
  keys: ['key 1'],
  definition: {
    match: {}, retry: { attempts: 5, patience: '20s' }, hedge: { enabled: true, max_share: 10 }, disconnect: 'drain', drain_tokens: 500, capture: true,
  },
};

describe('patterns', () => {
  it('fit as the gateway says', () => {
    for (const [pattern, name, fits] of [
      ['gpt-5', 'gpt-5', true], ['gpt-5', 'gpt-5-mini', false], ['gpt-*', 'gpt-', true], ['*', '', true], ['*-mini', 'gpt-5-mini', true],
      ['claude-*-4*', 'claude-haiku-4-5', true], ['claude-*-4*', 'claude-haiku-3', false], ['a*a', 'a', false], ['**', 'x/y', true],
    ] as const) {
      expect(matches(pattern, name), `${pattern} ${name}`).toBe(fits);
    }
    expect(stars('a*b*', 'a1b2')).toEqual(['1', '2']);
    expect(contains('GPT-5-Mini', ['mini'])).toBe(true);
    expect(contains('gpt', [''])).toBe(false);
  });

  it('have samples', () => {
    expect(sample('gpt-*', [], ['claude', 'gpt-5'])).toBe('gpt-5');
    expect(sample('kimi-*', ['k2'], ['gpt-5'])).toBe('kimi-k2');
    expect(sample('', ['glm'], [])).toBe('glm');
    expect(sample('', [], ['x'])).toBe('x');
    expect(sample('*', [], [])).toBe('example');
  });
});

describe('a draft', () => {
  it('has everything that a route has', () => {
    const draft = draftOf(FULL);
    expect(definitionOf(draft, false)).toEqual({
      name: 'all',
      match: { model: 'gpt-*', model_contains: ['mini'], protocol: 'chat', header: { 'x-team': 'a*' }, caller: ['ci'] },
      to: 'openai', priority: 3, overrides: false, mode: 'direct', keys: ['key 1'], retry: { attempts: 5, patience: '20s' },
      hedge: { enabled: true, max_share: 10 }, disconnect: 'drain', drain_tokens: 500, capture: true,
    });
    expect(definitionOf({ ...EMPTY, to: ' openai ', enabled: false }, false)).toEqual({ to: 'openai', enabled: false });
  });

  it('takes out what is not there any more', () => {
    const before = draftOf(FULL);
    const change = changeOf({ ...before, when: { ...before.when, model: '', headers: [{ name: 'X-New', value: 'b' }] }, attempts: '', hedge: '' }, before);
    expect(change).toMatchObject({
      match: { model: null, model_contains: ['mini'], header: { 'x-team': null, 'x-new': 'b' } },
      retry: { attempts: null, patience: '20s', max_wait: null },
      hedge: null,
    });
    expect(definitionOf({ ...EMPTY, to: 'x' }, true)).toMatchObject({ match: null, mode: null, retry: null, capture: null });
    expect('enabled' in change).toBe(false);
    expect(definitionOf({ ...EMPTY, name: ' ', to: 'x' }, true).name).toBe('');
    expect('name' in definitionOf({ ...EMPTY, name: ' ', to: 'x' }, false)).toBe(false);
    expect([EMPTY.when, { ...EMPTY.when, headers: [{ name: ' ', value: '*' }] }, { ...EMPTY.when, keywords: ['a'] }].map(isEmpty)).toEqual([true, true, false]);
  });

  it('of one that is off is read from its definition', () => {
    const off: Route = { origin: 'database', enabled: false, definition: { to: 'mine', match: { model_contains: 'glm' }, priority: 2 } };
    expect(whenOf(off).keywords).toEqual(['glm']);
    expect(draftOf(off)).toMatchObject({ to: 'mine', priority: 2, enabled: false });
  });
});

describe('the order', () => {
  it('is that in which they are asked', () => {
    const route = (id: string, index: number | null, more: Partial<Route> = {}): Route => ({ origin: 'file', id, index, ...more });
    const caller = { model_contains: [], header: {}, caller: ['a'] };
    const all = [route('plain', 0), route('caller', 1, { match: caller }), route('off', null), route('soon', 3, { priority: 0 }), route('forced', 4, { overrides: true, priority: 0 }), route('late', 5, { match: caller, overrides: false })];
    expect(inOrder(all).map(({ id }) => id)).toEqual(['forced', 'caller', 'soon', 'plain', 'late', 'off']);
  });

  it('depends on what is looked at', () => {
    expect(goesFirst(EMPTY.when, null)).toBe(false);
    expect(goesFirst({ ...EMPTY.when, callers: ['a'] }, null)).toBe(true);
    expect(goesFirst({ ...EMPTY.when, callers: ['a'] }, false)).toBe(false);
  });

  it('holds for requests that fit in everything', () => {
    const { when } = draftOf(FULL);
    const asked = { model: 'gpt-5-mini', protocol: 'chat', headers: { 'x-team': 'ab' }, caller: 'ci' };
    expect(holds(when, asked)).toBe(true);
    expect(holds(when, { ...asked, model: 'gpt-5' })).toBe(false);
    expect(holds(when, { ...asked, headers: {} })).toBe(false);
    expect(holds(when, { ...asked, caller: 'other' })).toBe(false);
    expect(holds(when, { ...asked, protocol: 'gemini' })).toBe(false);
    expect(holds(EMPTY.when, { model: 'x' })).toBe(true);
  });
});
