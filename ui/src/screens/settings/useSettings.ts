import { useQuery, useQueryClient } from '@tanstack/react-query';

import { api, ifMatch, type Schemas } from '../../api/client';
import type { Problem } from '../../api/problem';
import { useChange } from '../../api/query';

export type Settings = Schemas['Settings'];

const key = ['get', '/admin/api/settings'];

/** All settings as they are in force. */
export function useSettings() {
  return useQuery<Settings, Problem>({
    queryKey: key,
    queryFn: async ({ signal }) => (await api.GET('/admin/api/settings', { signal })).data as Settings,
    // What somebody edits does not change under their hands; saving tells whether it did.
    refetchOnWindowFocus: false,
  });
}

/** Saves a merge patch; without a revision whatever is there is replaced. */
export function useSaveSettings(onDone: (settings: Settings) => void) {
  const client = useQueryClient();
  return useChange(
    async ({ patch, revision }: { patch: Record<string, unknown>; revision?: number }) =>
      (await api.PATCH('/admin/api/settings', { body: patch as Schemas['ChangeSettings'], headers: ifMatch(revision) })).data as Settings,
    {
      refreshes: ['/admin/api/problems', '/admin/api/status', '/admin/api/configuration'],
      onDone: (settings) => {
        client.setQueryData(key, settings);
        onDone(settings);
      },
    },
  );
}
