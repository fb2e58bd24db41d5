// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, renderHook } from '@testing-library/react';
import type { ReactNode } from 'react';
import { expect, it, vi } from 'vitest';

import { useEditor } from './useEditor';

const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={new QueryClient()}>{children}</QueryClientProvider>;

it('is saved over what the reader saw, whatever came of it meanwhile', async () => {
  const save = vi.fn(async () => undefined);
  const options = { initial: { name: 'a' }, save, refreshes: [], entry: ['id'], onDone: () => undefined };
  const { result, rerender } = renderHook(({ revision }) => useEditor({ ...options, revision }), { initialProps: { revision: 3 }, wrapper });
  act(() => result.current.set({ name: 'b' }));
  rerender({ revision: 7 });
  await act(async () => result.current.submit());
  expect(save).toHaveBeenLastCalledWith({ name: 'b' }, 3);
  expect(result.current.dirty).toBe(false);
});

it('takes over a revision that one change of its own led to, and no other', async () => {
  const save = vi.fn(async () => undefined);
  const { result } = renderHook(() => useEditor({ initial: { name: 'a' }, revision: 3, save, refreshes: [], entry: ['id'], onDone: () => undefined }), { wrapper });
  act(() => result.current.rebase(4));
  await act(async () => result.current.submit());
  expect(save).toHaveBeenLastCalledWith({ name: 'a' }, 4);
  act(() => result.current.rebase(9));
  await act(async () => result.current.submit());
  expect(save).toHaveBeenLastCalledWith({ name: 'a' }, 4);
});
