import { keepPreviousData, useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';

import type { Schemas } from '../../api/client';
import { getJson, useAll } from '../../api/list';
import { Problem } from '../../api/problem';
import { pace, type RangeSearch, rangeOf, type Span } from '../../widgets/range';
import { aligned, before, type Period, periodFor, runs } from './periods';
import { type Dimension, filterOf, filtersOf, idOf, type Measure, type Row } from './sums';

export const FILTERS = ['model', 'of_key', 'user', 'team', 'provider', 'credential'] as const;
export type Filters = Record<(typeof FILTERS)[number], string>;

export const USUAL: Span = '30d';

/** As many groups as a plot can tell apart. */
const GROUPS = 7;

interface Asked {
  search: RangeSearch & { period: string };
  filters: Partial<Filters>;
  by: Dimension[];
  measure: Measure;
  compare: boolean;
}

/** Of what callers use of credentials only days are summed up. */
function onlyDays(by: Dimension[], filters: Partial<Filters>): boolean {
  const asked = [...by.map(filterOf), ...Object.keys(filters)];
  return asked.includes('credential') && asked.some((one) => ['of_key', 'user', 'team'].includes(one));
}

const ask = (query: Record<string, string | number | boolean | undefined>, signal?: AbortSignal) =>
  getJson<Schemas['Usage']>('/admin/api/usage', query, signal).then(({ rows }) => rows);

/** Everything that the screen shows. */
export function useUsage({ search, filters, by, measure, compare }: Asked) {
  const client = useQueryClient();
  const range = rangeOf(search, USUAL);
  const byDay = onlyDays(by, filters);
  const period: Period = byDay ? 'day' : periodFor(range, search.period);
  const { range: span, from, to } = search;
  const key = { span, from, to, period, filters, by, measure };
  const options = { placeholderData: keepPreviousData, refetchInterval: pace({ ...range, moving: runs(range) }) } as const;
  // Times are those of the moment when something is asked, not of the moment when it was drawn.
  const now = () => {
    const { from, to, moving } = aligned(rangeOf(search, USUAL), period);
    return { period, from, to: moving ? undefined : to };
  };
  // Rows of one grouping are none of another, not even while those have not come.
  const placeholderData = <T>(data: T | undefined, before: { queryKey: readonly unknown[] } | undefined): T | undefined =>
    (before?.queryKey[3] as typeof key | undefined)?.by.join() === by.join() ? data : undefined;
  const rows = useQuery({
    queryKey: ['get', '/admin/api/usage', 'rows', key],
    queryFn: ({ signal }) => ask({ ...now(), ...filters, by: by.join(), sort: measure }, signal),
    ...options,
    placeholderData,
  });
  const earlier = useQuery({
    queryKey: ['get', '/admin/api/usage', 'earlier', key],
    queryFn: ({ signal }) => {
      const { from, to } = before(rangeOf(search, USUAL), period);
      return ask({ period, from, to, ...filters, by: by.join(), sort: measure }, signal);
    },
    enabled: compare,
    ...options,
    placeholderData,
  });
  const all = useQuery({
    queryKey: ['get', '/admin/api/usage', 'all', { span, from, to, period, filters }],
    queryFn: ({ signal }) => ask({ ...now(), ...filters, series: true }, signal),
    ...options,
  });
  const whole = useQuery({
    queryKey: ['get', '/admin/api/usage', 'whole', { span, from, to, period, filters, compare }],
    queryFn: async ({ signal }) => {
      const { from, to } = before(rangeOf(search, USUAL), period);
      const [now_, then] = await Promise.all([ask({ ...now(), ...filters }, signal), compare ? ask({ period, from, to, ...filters }, signal) : []]);
      return { now: now_[0], then: then[0] };
    },
    ...options,
  });
  const first = useMemo(() => (rows.data ?? []).flatMap((row) => {
    const only = filtersOf(row, by);
    return only ? [{ id: idOf(row, by), row, only }] : [];
  }).slice(0, GROUPS), [rows.data, by]);
  const groups = useQueries({
    queries: first.map(({ id, only }) => ({
      queryKey: ['get', '/admin/api/usage', 'group', id, { span, from, to, period, filters }],
      queryFn: ({ signal }: { signal: AbortSignal }) => ask({ ...now(), ...filters, ...only, series: true }, signal),
      ...options,
    })),
    combine: (all) => ({ rows: all.map(({ data }) => data ?? []), pending: all.some(({ isPending }) => isPending), error: all.find(({ error }) => error)?.error }),
  });
  const earlierOf = useMemo(() => earlier.data && new Map(earlier.data.map((row) => [idOf(row, by), row])), [earlier.data, by]);
  const error = rows.error ?? all.error ?? whole.error ?? earlier.error ?? groups.error;
  return {
    period,
    range: aligned(range, period),
    before: before(range, period),
    runs: runs(range),
    rows: rows.data ?? EMPTY,
    earlier: compare ? earlierOf : undefined,
    all: all.data ?? EMPTY,
    whole: whole.data,
    groups: first.map((one, at) => ({ row: one.row, rows: groups.rows[at] ?? EMPTY })),
    pending: rows.isPending || all.isPending,
    /** Another list than before. */
    key: JSON.stringify(key),
    /** What is there is, at least in part, that of before: what is asked for has not come. */
    old: [rows, all, whole, ...(compare ? [earlier] : [])].some(({ isPlaceholderData }) => isPlaceholderData),
    /** Its sums are kept by day alone. */
    byDay,
    /** The parts of the plot are still to come. */
    drawing: groups.pending,
    error: error ? Problem.of(error) : null,
    refetch: () => void client.refetchQueries({ queryKey: ['get', '/admin/api/usage'], type: 'active' }),
  };
}

const EMPTY: Row[] = [];

/** What credentials are called: sums know them by their ids alone. */
export function useCredentialNames(enabled: boolean): Map<string, string> {
  const { rows } = useAll('/admin/api/credentials', 'credentials', {}, { enabled, staleTime: 60_000 });
  return useMemo(() => new Map(rows.map(({ id, provider, label }) => [id, `${provider} · ${label}`])), [rows]);
}
