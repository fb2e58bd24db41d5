import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '../../api/client';
import { getJson } from '../../api/list';

type Row = Schemas['Request'];

/** The log's entry of a request: it is written a moment after the request has ended, and holds what it cost. Asked for by id in the list, which may be empty. */
export function useLogged(id: string | null, ended: boolean): Row | null {
  const { data } = useQuery({
    queryKey: ['get', '/admin/api/requests', 'one', id],
    queryFn: async ({ signal }) => (await getJson<{ requests: Row[] }>('/admin/api/requests', { id, limit: 1 }, signal)).requests[0] ?? null,
    enabled: id !== null && ended,
    retry: false,
    staleTime: Infinity,
    refetchInterval: (query) => (query.state.data || query.state.dataUpdateCount > 8 || query.state.error ? false : 700),
  });
  return data ?? null;
}
