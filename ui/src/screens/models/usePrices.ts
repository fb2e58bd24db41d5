import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';

import { getJson, useAll } from '../../api/list';
import type { Price } from './model';

/** Rows of one service that are read; the longest list of the shipped table is far shorter. */
const MOST = 3000;

async function pricesOf(service: string, signal: AbortSignal): Promise<Price[]> {
  const rows: Price[] = [];
  for (let after: string | null = null; rows.length < MOST; ) {
    const page: { prices: Price[]; next: string | null } = await getJson('/admin/api/prices', { provider: service, limit: 500, after }, signal);
    rows.push(...page.prices);
    after = page.next;
    if (after === null) break;
  }
  return rows;
}

/** The shipped prices of the services that are in use, by `service/model`, and which service each provider is. */
export function usePrices() {
  const providers = useAll('/admin/api/providers', 'providers', {}, { staleTime: 30_000 });
  const services = useMemo(() => new Map(providers.rows.flatMap(({ name, quirks }) => (quirks ? [[name, quirks] as const] : []))), [providers.rows]);
  // The table goes by the names of the services that are known.
  const presets = useAll('/admin/api/presets', 'presets', {}, { staleTime: Infinity });
  const asked = useMemo(() => {
    const known = new Set(presets.rows.map(({ name }) => name));
    return [...new Set(providers.rows.flatMap(({ name, quirks }) => [quirks ?? '', name]))].filter((name) => known.has(name));
  }, [providers.rows, presets.rows]);
  const prices = useQueries({
    queries: asked.map((service) => ({
      queryKey: ['get', '/admin/api/prices', 'of', service],
      queryFn: ({ signal }: { signal: AbortSignal }) => pricesOf(service, signal),
      // The table changes with the program only.
      staleTime: Infinity,
    })),
    combine: (results) => new Map(results.flatMap(({ data }) => (data ?? []).map((price) => [`${price.provider}/${price.model}`, price] as const))),
  });
  return { prices, services, providers: providers.rows };
}
