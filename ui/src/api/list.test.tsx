// @vitest-environment jsdom
import { focusManager, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, renderHook, waitFor } from '@testing-library/react';
import type { ReactNode } from 'react';
import { afterEach, expect, it, vi } from 'vitest';

import { FEW_PAGES, useList } from './list';

afterEach(() => vi.unstubAllGlobals());

function begin(answer: (after: string | null) => Response) {
  const asked: (string | null)[] = [];
  vi.stubGlobal('fetch', async (path: string) => {
    const after = new URL(path, 'http://h').searchParams.get('after');
    asked.push(after);
    return answer(after);
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={client}>{children}</QueryClientProvider>;
  const { result } = renderHook(() => useList('/admin/api/keys', 'keys'), { wrapper });
  return { asked, result };
}

const page = (after: string | null) => new Response(JSON.stringify({ keys: [{ id: after ?? '0' }], next: String(Number(after ?? 0) + 1) }));

it('asks for a long list again only when the reader wants it, and then for its top', async () => {
  const { asked, result } = begin(page);
  for (let at = 1; at <= FEW_PAGES + 2; at += 1) {
    await waitFor(() => expect(result.current.rows.length).toBe(at));
    if (at <= FEW_PAGES + 1) act(() => result.current.loadMore());
  }
  expect(result.current.isLong).toBe(true);
  asked.length = 0;
  act(() => (focusManager.setFocused(false), focusManager.setFocused(true)));
  await act(async () => undefined);
  expect(asked).toEqual([]);
  await act(async () => void (await result.current.refetch()));
  expect(asked).toEqual([null, '1', '2']);
});

it('keeps what is there when more of it fails, and gives the reason', async () => {
  const { result } = begin((after) => (after ? new Response('{"code":"busy","title":"Busy"}', { status: 503 }) : page(after)));
  await waitFor(() => expect(result.current.hasMore).toBe(true));
  act(() => result.current.loadMore());
  await waitFor(() => expect(result.current.moreFailed).toBe(true));
  expect([result.current.rows.length, result.current.error?.code, result.current.hasMore]).toEqual([1, 'busy', true]);
});
