import { useQuery } from '@tanstack/react-query';

import { api, type Schemas } from '../../api/client';
import { Problem } from '../../api/problem';
import { useAct } from '../../widgets/act';
import { useTranslation } from 'react-i18next';
import type { Token } from './tokens';

/** What is asked for anew when something was done about tokens. */
export const REFRESHES = ['/admin/api/tokens', '/admin/api/credentials'];
/** More are fetched when they are asked for, not on a timer: all of them come at once. */
const MANY = 3_000;

export function useTokens() {
  const list = useQuery({
    queryKey: ['get', '/admin/api/tokens'],
    queryFn: async ({ signal }) => ((await api.GET('/admin/api/tokens', { signal })).data?.data ?? []) as Token[],
    refetchInterval: (query) => ((query.state.data?.length ?? 0) > MANY ? false : 10_000),
  });
  const statistics = useQuery({
    queryKey: ['get', '/admin/api/tokens/statistics'],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/tokens/statistics', { signal })).data?.data as Schemas['TokenStatistics'],
    refetchInterval: 10_000,
  });
  const readiness = useQuery({
    queryKey: ['get', '/admin/api/tokens/readiness'],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/tokens/readiness', { signal })).data?.data as Schemas['TokenReadiness'],
    refetchInterval: 10_000,
  });
  const health = useQuery({
    queryKey: ['get', '/admin/api/tokens/health'],
    queryFn: async ({ signal }) => {
      const health = (await api.GET('/admin/api/tokens/health', { signal })).data?.data as Schemas['TokenHealth'];
      // What it tells of each stands in the list as well.
      return { ...health, items: [] };
    },
    refetchInterval: 30_000,
  });
  return { list, statistics, readiness, health };
}

export type TokenAct = 'refresh' | 'health' | 'quota' | 'activate' | 'disable' | 'delete';

async function act(token: Token, what: TokenAct): Promise<Token | undefined> {
  const options = { params: { path: { id: String(token.id) } } };
  switch (what) {
    case 'refresh':
      return done((await api.POST('/admin/api/tokens/{id}/refresh', options)).data?.data);
    case 'health':
      return done((await api.POST('/admin/api/tokens/{id}/health-check', options)).data?.data);
    case 'quota':
      return done((await api.POST('/admin/api/tokens/{id}/quota-refresh', options)).data?.data);
    case 'delete':
      await api.DELETE('/admin/api/tokens/{id}', options);
      return undefined;
    default:
      return (await api.PATCH('/admin/api/tokens/{id}', { ...options, body: { status: what === 'activate' ? 'active' : 'disabled' } })).data?.data;
  }
}

/** These answer 200 also where nothing came of it. */
function done(data: { success: boolean; token: Token } | undefined): Token | undefined {
  if (data && !data.success) throw new Problem({ code: 'token_failed', detail: data.token.last_error_message ?? data.token.health_last_error ?? undefined });
  return data?.token;
}

/** Does something about one token; how it went is told by a notification. */
export function useTokenAct() {
  const { t } = useTranslation(['tokens', 'common']);
  return useAct(({ token, what }: { token: Token; what: TokenAct }) => act(token, what), {
    refreshes: REFRESHES,
    done: (_, { token, what }) => t(`done.${what}`, { name: token.email }),
  });
}

/** Fetches an access token for all of them. */
export function useRefreshAll() {
  return useAct(async () => (await api.POST('/admin/api/tokens/refresh-all')).data?.data as Schemas['TokensRefreshed'], { refreshes: REFRESHES });
}
