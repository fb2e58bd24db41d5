import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import { getJson, useAll } from '../../api/list';
import type { Problem } from '../../api/problem';

/** What requests may be led to: `provider/model` as far as models are known, and the names of pools and declared models. */
export function useTargets() {
  const providers = useAll('/admin/api/providers', 'providers', {}, { staleTime: 30_000 });
  // What providers list is theirs to tell, so the names that are declared are enough.
  const pools = useAll('/admin/api/models', 'models', { kind: 'pool' }, { staleTime: 30_000 });
  const models = useAll('/admin/api/models', 'models', { kind: 'model' }, { staleTime: 30_000 });
  return useMemo(() => {
    const served = providers.rows.flatMap(({ name, models }) => (models ?? []).map((model) => `${name}/${model}`));
    // Providers that list nothing are asked for what requests lead to already.
    const declared = [...pools.rows, ...models.rows];
    const used = declared.flatMap(({ targets }) => targets.filter(({ model }) => !model.includes('*')).map(({ provider, model }) => `${provider}/${model}`));
    const names = declared.map(({ name }) => name);
    return {
      targets: [...new Set([...served, ...used])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true })),
      names,
      providers: providers.rows.map(({ name }) => name),
      error: providers.error ?? models.error,
      isPending: providers.isPending || pools.isPending || models.isPending,
    };
  }, [providers.rows, pools.rows, models.rows, providers.error, models.error, providers.isPending, pools.isPending, models.isPending]);
}

/** A provider's own list of models, asked for when it is chosen. */
export function useModelsOf(provider: string) {
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['get', '/admin/api/providers/{id}/models', provider],
    queryFn: ({ signal }) => getJson<{ models: string[] }>(`/admin/api/providers/${encodeURIComponent(provider)}/models`, {}, signal),
    enabled: provider !== '',
    staleTime: 5 * 60_000,
    retry: false,
  });
  return { models: provider === '' ? [] : (data?.models ?? []), error: provider === '' ? null : (error as Problem | null), isFetching, refetch };
}

/** Those that hold every word that was typed, in any case. */
export function found(all: string[], typed: string): string[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? all : all.filter((one) => words.every((word) => one.toLowerCase().includes(word)));
}
