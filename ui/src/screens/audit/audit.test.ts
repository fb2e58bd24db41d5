import { describe, expect, it } from 'vitest';

import document from '../../../../docs/openapi.json';
import { ACTIONS, actionWords, type Entry, hasDetail, KINDS, linkTo, moment, objectName, partsOf } from './audit';
import en from './en.json';

const entry = (more: Partial<Entry>): Entry => ({ id: '1', at: 0, actor: { kind: 'user', name: 'ada' }, action: 'x', status: 200, request: 'req_1', detail: {}, ...more });

it('reads when an entry was from its address', () => {
  expect([moment('1767225600000'), moment(''), moment('soon'), moment('1e999')]).toEqual([{ since: 1767225600000, until: 1767225600001 }, null, null, null]);
});

/** What the page does with words, with those of English. */
const t = (key: string, options: Record<string, unknown>) => {
  const found = key.split('.').reduce<unknown>((words, part) => (words as Record<string, unknown> | undefined)?.[part], en);
  return String(found ?? options.defaultValue).replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => String(options[name]));
};

describe('actions', () => {
  // What these are asked changes nothing, and is not written down.
  const asking = ['previewPool', 'explain'];
  const writing = Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/admin/api/'))
    .flatMap(([path, methods]) => Object.entries(methods as Record<string, { operationId: string }>).map(([method, { operationId }]) => ({ path, method, operationId })))
    .filter(({ method, operationId }) => ['post', 'put', 'patch', 'delete'].includes(method) && !asking.includes(operationId));

  it('are all that the API can be told to do, and have words', () => {
    expect([...ACTIONS].sort()).toEqual(writing.map(({ operationId }) => operationId).sort());
    expect(ACTIONS.filter((action) => actionWords(action, t) === action)).toEqual([]);
  });

  it('are done to things of all kinds, which have words', () => {
    // The first admin is told of as somebody who signs in.
    const kinds = writing.flatMap(({ path }) => path.split('/')[3] ?? []).filter((kind) => kind !== 'setup');
    expect([...KINDS].sort()).toEqual([...new Set(kinds)].sort());
    expect(KINDS.filter((kind) => !(kind in en.kinds))).toEqual([]);
  });

  it('that nobody knows go by their own name', () => {
    expect(actionWords('createProvider', t)).toBe('Create provider');
    expect(actionWords('signIn', t)).toBe('Sign in');
    expect(actionWords('doSomethingNew', t)).toBe('doSomethingNew');
    expect(partsOf('explain')).toBeNull();
  });
});

describe('objects', () => {
  it('go by their names', () => {
    expect(objectName(entry({ object: '01-a', detail: { name: 'ada' } }))).toBe('ada');
    expect(objectName(entry({ object: '01-a', detail: { name: 5 } }))).toBe('01-a');
    expect(objectName(entry({ detail: 'x' }))).toBeNull();
  });

  it('are linked as long as they are there', () => {
    expect(linkTo(entry({ object_kind: 'users', object: '01', action: 'changeUser' }))).toEqual({ to: '/users', search: { id: '01' } });
    expect(linkTo(entry({ object_kind: 'pools', object: '01', action: 'changePool' }))).toEqual({ to: '/pools', search: { open: '01' } });
    expect(linkTo(entry({ object_kind: 'routes', object: '01', action: 'enableRoute' }))).toEqual({ to: '/routes', search: { open: '01' } });
    expect(linkTo(entry({ object_kind: 'users', object: '01', action: 'deleteUser' }))).toBeNull();
    expect(linkTo(entry({ object_kind: 'session', action: 'signIn' }))).toBeNull();
  });
});

describe('hasDetail', () => {
  it('knows what is nothing', () => {
    expect([{}, [], null, { a: 1 }, [1], 'x'].map(hasDetail)).toEqual([false, false, false, true, true, true]);
  });
});
