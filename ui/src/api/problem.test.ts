import { describe, expect, it } from 'vitest';

import { atLists, pointerPath, Problem } from './problem';

describe('Problem', () => {
  it('reads what the gateway says', async () => {
    const problem = await Problem.from(
      new Response(JSON.stringify({ title: 'Bad', status: 400, code: 'invalid', detail: 'no', errors: [{ pointer: '#/targets/0/target', detail: 'unknown', remedy: 'name one' }] }), { status: 400 }),
    );
    expect(problem.code).toBe('invalid');
    expect(problem.fieldErrors()).toEqual({ 'targets.0.target': 'unknown. name one' });
  });

  it('tells what is wrong with an entry at its list as well', () => {
    expect(atLists({ 'keys.1': 'unknown', 'keys.2': 'as well', 'limits.0.amount': 'too much' })).toEqual({ keys: 'unknown', 'keys.1': 'unknown', 'keys.2': 'as well', 'limits.0.amount': 'too much' });
    expect(atLists({ keys: 'too many', 'keys.0': 'unknown' })).toEqual({ keys: 'too many', 'keys.0': 'unknown' });
  });

  it('reads what clients and token pools are told', async () => {
    expect((await Problem.from(new Response('{"error":{"message":"slow down","code":"rate_limit"}}', { status: 429 }))).detail).toBe('slow down');
    expect((await Problem.from(new Response('{"detail":"no such token"}', { status: 404 }))).detail).toBe('no such token');
  });

  it('takes a page of somebody else for what it is', async () => {
    const problem = await Problem.from(new Response('<html>502', { status: 502 }));
    expect([problem.code, problem.status]).toEqual(['unreadable', 502]);
  });

  it('unescapes pointers', () => {
    expect(pointerPath('#/a~1b/~0/c%20d')).toBe('a/b.~.c d');
    expect(pointerPath(null)).toBeUndefined();
  });
});
