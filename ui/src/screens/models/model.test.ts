import { describe, expect, it } from 'vitest';

import type { Route } from '../routes/route';
import { catches, formOf, type Model, type Price, priceOf, rulesOf, stages, usualRates, whenOfForm } from './model';

const model = (name: string, kind: Model['kind'] = 'listed'): Model => ({ name, kind, providers: [], targets: [] });
const route = (index: number, match: Record<string, unknown>, more: Partial<Route> = {}): Route => ({
  origin: 'database', id: String(index), index, to: 'a', priority: 1,
  match: { model_contains: [], header: {}, caller: [], ...match }, ...more,
});
const MODELS = [model('sonnet', 'pool'), model('fast', 'model'), model('gpt-*', 'pattern'), model('gpt-5'), model('kimi-k2'), model('glm-5'), model('claude-sonnet-5')];

describe('what a rule would catch', () => {
  const told = (form: 'alias' | 'glob' | 'keyword', text: string, overrides = false, routes: Route[] = []) =>
    catches(whenOfForm(form, text), overrides, 1, MODELS, routes).map((one) => (one.by === 'rule' ? one.name : `${one.name}<${one.by} ${one.what}`));

  it('are the names that nothing else has', () => {
    expect(told('glob', '*')).toEqual(['sonnet<declared sonnet', 'fast<declared fast', 'gpt-5<pattern gpt-*', 'kimi-k2', 'glm-5', 'claude-sonnet-5']);
    expect(told('keyword', 'Sonnet, kimi')).toEqual(['sonnet<declared sonnet', 'kimi-k2', 'claude-sonnet-5']);
    expect(told('alias', 'glm-5')).toEqual(['glm-5']);
    expect(told('alias', 'new')).toEqual([]);
  });

  it('are all where it goes first', () => {
    expect(told('glob', 'g*', true)).toEqual(['gpt-5', 'glm-5']);
  });

  it('are not those of rules before it', () => {
    const kimi = route(0, { model: 'kimi-*' });
    expect(told('glob', 'k*', false, [kimi])).toEqual(['kimi-k2<route kimi-*']);
    expect(told('glob', 'k*', true, [kimi])).toEqual(['kimi-k2']);
    expect(told('glob', 'k*', false, [{ ...kimi, priority: 2 }])).toEqual(['kimi-k2']);
    expect(told('glob', 'k*', true, [{ ...kimi, overrides: true }])).toEqual(['kimi-k2<route kimi-*']);
    // One that looks at the caller as well does not hold for everybody, one that is off for nobody.
    expect(told('glob', 'k*', false, [route(0, { model: 'kimi-*', caller: ['ci'] }), { ...kimi, index: null }])).toEqual(['kimi-k2']);
  });
});

describe('rules of names', () => {
  it('are told apart', () => {
    expect(formOf(whenOfForm('alias', 'a'))).toBe('alias');
    expect(formOf(whenOfForm('glob', 'a*'))).toBe('glob');
    expect(formOf(whenOfForm('keyword', 'a, b'))).toBe('keyword');
    expect(formOf({ ...whenOfForm('alias', 'a'), keywords: ['b'] })).toBeNull();
    expect(formOf({ ...whenOfForm('alias', 'a'), protocol: 'chat' })).toBeNull();
    expect(formOf(whenOfForm('alias', ''))).toBeNull();
    const routes = [route(0, { model: 'kimi-*' }, { to: 'openai/gpt-5' }), route(1, { caller: ['x'] }), route(2, { model_contains: ['glm'] })];
    expect(rulesOf(routes, '', '')).toHaveLength(2);
    expect(rulesOf(routes, 'KIM', 'openai')).toHaveLength(1);
    expect(rulesOf(routes, '', 'open')).toHaveLength(0);
  });
});

describe('prices', () => {
  it('are found by service or name', () => {
    const price = (id: string): Price => ({ id, provider: '', model: '', currency: 'USD', date: '', source: '', varies: false, sections: [{ tier: 'batch', above: 0, rates: { input: '1' } }, { tier: 'standard', above: 0, rates: { input: '2' } }] });
    const prices = new Map([['openai/gpt-5', price('openai/gpt-5')]]);
    expect(priceOf(prices, new Map([['mine', 'openai']]), { provider: 'mine', model: 'gpt-5' })?.id).toBe('openai/gpt-5');
    expect(priceOf(prices, new Map([['openai', 'openai-compatible']]), { provider: 'openai', model: 'gpt-5' })?.id).toBe('openai/gpt-5');
    expect(priceOf(prices, new Map(), { provider: 'openai', model: 'gpt-6' })).toBeUndefined();
    expect(usualRates(price('x')).input).toBe('2');
  });
});

describe('targets', () => {
  it('stand in stages', () => {
    const target = (model: string, priority: number) => ({ provider: 'p', model, weight: 1, priority });
    expect(stages([target('a', 2), target('b', 1), target('c', 2)]).map((stage) => stage.map(({ model }) => model))).toEqual([['b'], ['a', 'c']]);
  });
});
