import { useQuery } from '@tanstack/react-query';

import { getJson } from '../../../api/list';
import type { Preset } from './draft';

/** The services that are known, but for programs: those are declared in the configuration file only. */
export function usePresets() {
  return useQuery({
    queryKey: ['get', '/admin/api/presets', 'all'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const { presets } = await getJson<{ presets: Preset[] }>('/admin/api/presets', { limit: 500 }, signal);
      return presets.filter((preset) => preset.adapter !== 'process');
    },
  });
}
