import { describe, expect, it } from 'vitest';

import { mergePatch, readObject, same, split } from './patch';

describe('mergePatch', () => {
  it('holds what changed and nothing else', () => {
    const before = { base_url: 'a', headers: { x: '…', y: '1' }, models: ['a', 'b'], requests: 4, timeouts: { total: '1m' } };
    const after = { base_url: 'a', headers: { x: '…', y: '2' }, models: ['a'], timeouts: { total: '1m' }, proxy: 'none' };
    expect(mergePatch(before, after)).toEqual({ headers: { y: '2' }, models: ['a'], requests: null, proxy: 'none' });
    expect(mergePatch(before, structuredClone(before))).toEqual({});
  });

  it('takes out inner members by null, and whole lists by others', () => {
    expect(mergePatch({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 1 }, d: { e: 1 } })).toEqual({ a: { c: null }, d: { e: 1 } });
  });
});

it('compares without regard to order', () => {
  expect(same({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toBe(true);
  expect(same({ a: 1 }, { a: 1, b: undefined })).toBe(false);
});

it('splits a definition and reads objects only', () => {
  expect(split({ a: 1, b: 2 }, ['a'])).toEqual({ fields: { a: 1 }, rest: { b: 2 } });
  expect([readObject(' '), readObject('{"a":1}'), readObject('[1]'), readObject('{')]).toEqual([{}, { a: 1 }, undefined, undefined]);
});
