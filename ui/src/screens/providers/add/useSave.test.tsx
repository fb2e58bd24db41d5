// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, renderHook } from '@testing-library/react';
import type { ReactNode } from 'react';
import { expect, it, vi } from 'vitest';

import { api } from '../../../api/client';
import { Problem } from '../../../api/problem';
import type { Plan } from './plan';
import { poolsWith, useSave } from './useSave';

const plan: Plan = {
  body: { providers: [{ name: 'deep' }], credentials: [{ key: 'k', provider: 'deep' }], pools: [{ name: 'sonnet', targets: ['deep/a'] }] },
  extensions: [{ pool: 'opus', add: ['deep/b'] }],
};

type Options = { params?: { path: { id: string } }; body?: Record<string, { name?: string }[]> & { dry_run?: boolean } };

/** A gateway where these are there already, and that changes no pool as long as it `refuses`. */
function begin(there: string[], refuses = false) {
  const sent: string[] = [];
  const state = { refuses };
  const answer = (method: string) => (async (path: string, { params, body }: Options) => {
    const place = path.replace('/admin/api/', '').replace('{id}', params?.path.id ?? '');
    sent.push(`${method} ${place}${body?.dry_run ? ' dry' : ''}`);
    if (method === 'PATCH' && place.startsWith('pools/') && state.refuses) throw new Problem({ code: 'stale', status: 412 });
    if (method !== 'POST') return { data: { revision: 1, definition: { models: ['a'], targets: ['x/y'] } } };
    const results = ['providers', 'credentials', 'pools'].flatMap((list) =>
      (body?.[list] ?? []).map(({ name = 'k' }, index) => ({ list, index, name, result: there.includes(name) ? 'exists' : 'created' })),
    );
    const created = results.filter((one) => one.result === 'created').length;
    return { data: { dry_run: body?.dry_run, created, exists: results.length - created, results } };
  }) as never;
  for (const method of ['GET', 'POST', 'PATCH'] as const) vi.spyOn(api, method).mockImplementation(answer(method));
  const [onDone, onPart] = [vi.fn(), vi.fn()];
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={new QueryClient()}>{children}</QueryClientProvider>;
  const { result } = renderHook(() => useSave(onDone, onPart), { wrapper });
  return { sent, state, result, onDone, onPart };
}

it.each([['the provider', ['deep']], ['a pool', ['sonnet']]])('makes nothing where %s is somebody else’s', async (_, there) => {
  const { sent, result, onDone } = begin(there);
  await act(async () => result.current.save(plan, ['a']));
  expect(sent).toEqual(['POST import dry']);
  expect(result.current.saved.taken.map((one) => one.name)).toEqual(there);
  expect(result.current.saved.made).toBeUndefined();
  expect(onDone).not.toHaveBeenCalled();
  act(() => result.current.clear());
  expect(result.current.saved.taken).toEqual([]);
});

it('takes a key that is there already for no obstacle', async () => {
  const { result, onDone } = begin(['k']);
  await act(async () => result.current.save(plan, ['a']));
  expect(onDone).toHaveBeenCalled();
  expect(poolsWith(result.current.saved)).toEqual(['sonnet', 'opus']);
});

it('changes what is made when it is saved again', async () => {
  const { sent, state, result, onDone, onPart } = begin([], true);
  await act(async () => result.current.save(plan, ['a']));
  expect(onPart).toHaveBeenCalledWith(plan.extensions);
  expect(poolsWith(result.current.saved)).toEqual(['sonnet']);
  expect(result.current.saved.models).toEqual(['a']);
  state.refuses = false;
  sent.length = 0;
  const change: Plan = { models: { provider: 'deep', add: ['b'], remove: [] }, body: { providers: [], credentials: [], pools: [] }, extensions: plan.extensions };
  await act(async () => result.current.save(change, ['a', 'b']));
  expect(sent).toEqual(['GET providers/deep', 'PATCH providers/deep', 'GET pools/opus', 'PATCH pools/opus']);
  expect(onDone).toHaveBeenCalledOnce();
  expect(result.current.saved.made?.created).toBe(3);
  expect(poolsWith(result.current.saved)).toEqual(['sonnet', 'opus']);
});
