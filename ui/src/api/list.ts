import { type InfiniteData, keepPreviousData, type Query as Kept, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo } from 'react';

import { authHeaders } from './client';
import { authStore } from './auth';
import { Problem } from './problem';
import type { paths } from './schema';

/** The lists of the API: what `GET` answers with a page of entries and `next`. */
type PageOf<P extends keyof paths> = paths[P] extends { get: { responses: { 200: { content: { 'application/json': infer A } } } } } ? A : never;
type RowOf<P extends keyof paths, M> = M extends keyof PageOf<P> ? (PageOf<P>[M] extends readonly (infer R)[] | null | undefined ? R : never) : never;

export type Query = Record<string, string | number | boolean | undefined | null>;

/** A path with its query; what is empty is left out. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  if (given.length === 0) return path;
  return `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()}`;
}

/** Asks the admin API, also for what is no JSON; throws a {@link Problem}. */
export async function ask(path: string, { method = 'GET', accept, signal }: { method?: string; accept?: string; signal?: AbortSignal } = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { method, signal, headers: { ...(accept && { accept }), ...authHeaders(method) } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw Problem.offline(error);
  }
  if (!response.ok) {
    const problem = await Problem.from(response);
    if (problem.signedOut) authStore.expire();
    throw problem;
  }
  return response;
}

/** `GET`s a path of the admin API that takes a query; throws a {@link Problem}. */
export async function getJson<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await (await ask(withQuery(path, query), { accept: 'application/json', signal })).json()) as T;
}

/** Pages without an entry that are gone past in one go: a search may look at many rows for one that fits. */
const EMPTY_PAGES = 20;

/** So many pages are asked for again by themselves: from time to time, and when the reader comes back. More of them only when the reader wants it. */
export const FEW_PAGES = 3;

/** Forgets pages of lists that are to be asked for again: all of what was loaded would be thousands of requests. */
export function shorten(lists: Kept[], most: number): void {
  for (const list of lists) {
    const data = list.state.data as Partial<InfiniteData<unknown>> | undefined;
    if (!Array.isArray(data?.pages) || data.pages.length <= most) continue;
    list.setData({ ...data, pages: data.pages.slice(0, most), pageParams: data.pageParams?.slice(0, most) }, { updatedAt: list.state.dataUpdatedAt, manual: true });
  }
}

/**
 * A list, page by page as far as the reader scrolls. `member` is the name of the list in the answer.
 *
 * A page may be shorter than asked for, even empty, while there is a `next`: the end is where there is none.
 */
export function useList<P extends keyof paths & string, M extends string>(
  path: P,
  member: M,
  query: Query = {},
  options: { refetchInterval?: number | false; enabled?: boolean; pageSize?: number } = {},
) {
  type Row = RowOf<P, M>;
  type Page = { next: string | null; rows: Row[] };
  const client = useQueryClient();
  const queryKey = ['get', path, query];
  const short = ({ state }: { state: { data?: unknown } }) => ((state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 0) <= FEW_PAGES;
  const list = useInfiniteQuery({
    queryKey,
    initialPageParam: null as string | null,
    placeholderData: keepPreviousData,
    enabled: options.enabled ?? true,
    refetchInterval: ({ state }: { state: { data?: unknown } }) => short({ state }) && (options.refetchInterval ?? false),
    refetchOnWindowFocus: short,
    refetchOnReconnect: short,
    queryFn: async ({ pageParam, signal }): Promise<Page> => {
      let after = pageParam;
      for (let looked = 0; ; looked += 1) {
        const page = await getJson<Record<string, unknown>>(path, { limit: options.pageSize ?? 100, ...query, after }, signal);
        const rows = (page[member] ?? []) as Row[];
        const next = (page.next ?? null) as string | null;
        if (rows.length > 0 || next === null || looked >= EMPTY_PAGES) return { rows, next };
        after = next;
      }
    },
    getNextPageParam: ({ next }) => next ?? undefined,
  });
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const { fetchNextPage, refetch, hasNextPage, isFetchingNextPage } = list;
  const key = JSON.stringify(queryKey);
  const cut = useCallback(() => shorten(client.getQueryCache().findAll({ queryKey: JSON.parse(key) as unknown[], exact: true }), FEW_PAGES), [client, key]);
  // Whoever comes back to it begins at the top.
  useEffect(() => cut, [cut]);
  const loadMore = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const again = useCallback(() => {
    cut();
    return refetch();
  }, [cut, refetch]);
  return {
    rows,
    key,
    error: list.error as Problem | null,
    isPending: list.isPending,
    isFetching: list.isFetching,
    /** Asks for the list again, from the top as far as it does so by itself. */
    refetch: again,
    hasMore: hasNextPage,
    loadingMore: isFetchingNextPage,
    loadMore,
    /** The next page could not be loaded; what is there stays. */
    moreFailed: list.isFetchNextPageError,
    /** Too much is loaded for all of it to be asked for again by itself. */
    isLong: (list.data?.pages.length ?? 0) > FEW_PAGES,
    /** The rows are those of another filter, as long as those that are asked for have not come. */
    isOld: list.isPlaceholderData,
  };
}

/** Entries that a list is read whole up to: lists that are longer are looked at page by page. */
const WHOLE = 20_000;

/** All of a list, for what has to be put in order, counted or chosen from. Not for lists that grow with use. */
export function useAll<P extends keyof paths & string, M extends string>(
  path: P,
  member: M,
  query: Query = {},
  options: { enabled?: boolean; refetchInterval?: number | false; staleTime?: number } = {},
) {
  type Row = RowOf<P, M>;
  const { data, error, isPending, isFetching, refetch } = useQuery({
    queryKey: ['get', path, 'all', query],
    placeholderData: keepPreviousData,
    ...options,
    queryFn: async ({ signal }): Promise<Row[]> => {
      const rows: Row[] = [];
      for (let after: string | null = null; rows.length < WHOLE; ) {
        const page: Record<string, unknown> = await getJson(path, { limit: 500, ...query, after }, signal);
        rows.push(...((page[member] ?? []) as Row[]));
        after = (page.next ?? null) as string | null;
        if (after === null) break;
      }
      return rows;
    },
  });
  return { rows: data ?? (NOTHING as Row[]), error: error as Problem | null, isPending, isFetching, refetch };
}

/** Always the same one, so that what depends on it is not worked out anew. */
const NOTHING: never[] = [];
