import type { Query } from '../../api/list';
import { type RangeSearch, rangeOf } from '../../widgets/range';

/**
 * What the screen shows, as it stands in the address. Filters have the names that they have in the admin API, so that other screens can
 * link here with what they know.
 */
export const SEARCH = {
  range: 'all', from: '', to: '', q: '', model: '', provider: '', credential: '', user: '', team: '', of_key: '', protocol: '', status: '',
  outcome: '', failed: '', min_duration_ms: '', live: '', id: '',
};
export type Search = typeof SEARCH;
export type Filter = Exclude<keyof Search, 'range' | 'live' | 'id' | 'from' | 'to'>;

/** Filters that can be taken away one by one, in the order in which they are shown. */
export const FILTERS: readonly Filter[] = [
  'q', 'model', 'provider', 'credential', 'user', 'team', 'of_key', 'protocol', 'status', 'outcome', 'failed', 'min_duration_ms',
];

/** What the gateway knows as ways a request can end, besides having been answered: kinds of errors. */
export const OUTCOMES = [
  'answered', 'client_gone', 'rate_limited', 'rate_limited_window', 'local_rate', 'local_quota', 'overloaded', 'capacity_model', 'server_error',
  'timeout', 'transport', 'upstream_protocol', 'untrusted', 'auth_invalid', 'account_broken', 'permission_denied', 'client_auth', 'model_not_found',
  'no_upstream', 'bad_request', 'context_too_long', 'too_large', 'policy_refused', 'tool_use_failed', 'not_found', 'method_not_allowed',
  'unsupported_media_type', 'request_timeout', 'internal', 'unknown',
] as const;

/** Whether a request went wrong, as the filter `failed` means it. */
export function hasFailed(outcome: string): boolean {
  return outcome !== 'answered' && outcome !== 'client_gone';
}

/** The times between which requests are looked for; what ends now has no end, and any time has no beginning either. */
export function bounds(search: RangeSearch, now: number): { from?: number; to?: number } {
  const { from, to, moving } = rangeOf(search, 'all', now);
  return { ...(Number.isFinite(from) && { from }), ...(!moving && { to }) };
}

/** The filters as the API takes them. */
export function toQuery(search: Search, now: number): Query {
  const query: Query = { ...bounds(search, now) };
  for (const name of FILTERS) if (search[name] !== '') query[name] = search[name].trim();
  return query;
}

/** What is followed: the live endpoint takes every filter but times and the search, which {@link fits} does. */
export function toLiveQuery(search: Search): Query {
  const { from: _from, to: _to, q: _q, ...query } = toQuery(search, 0);
  return query;
}

interface Named {
  name?: string | null;
}

/** Whether a request that has just ended holds the text that is searched for, in what the list searches as well. */
export function fits(
  row: { id: string; model: string; error?: string | null; upstream_id?: string | null; key?: Named | null; user?: Named | null; team?: Named | null },
  q: string,
): boolean {
  const wanted = q.trim().toLowerCase();
  if (wanted === '' || row.id === q.trim()) return true;
  return [row.model, row.error, row.upstream_id, row.key?.name, row.user?.name, row.team?.name].some((text) => text?.toLowerCase().includes(wanted));
}

/** Whether requests that end now can be among those that are looked for. */
export function canFollow(search: RangeSearch, now: number): boolean {
  const { to } = bounds(search, now);
  return to === undefined || to > now;
}
