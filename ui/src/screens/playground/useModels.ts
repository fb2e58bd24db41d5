import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import { useModelNames } from '../../widgets/rules/RulesFields';
import { dict, list, text } from './protocols/json';

/** The names that may be asked for: what the gateway tells the holder of the key, or, as long as there is none, what they themselves see. */
export function useModels(key: string | null, turn: number, open: boolean): string[] {
  const asked = useQuery({
    // The key stands in no query: whose list it is, is told by the number of its turn.
    queryKey: ['playground', 'models', turn, open],
    queryFn: async ({ signal }) => {
      const response = await fetch('/v1/models', { credentials: 'omit', signal, headers: key ? { authorization: `Bearer ${key}` } : {} });
      if (!response.ok) return [];
      return list(dict(await response.json()).data).map((model) => text(dict(model).id)).filter(Boolean);
    },
    enabled: key !== null || open,
    retry: false,
  });
  const named = useModelNames(key === null && !open);
  return useMemo(() => [...new Set(asked.data ?? named)].filter((name) => !name.includes('*')).sort(), [asked.data, named]);
}
