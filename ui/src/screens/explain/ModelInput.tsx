import { Autocomplete, type AutocompleteProps } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import type { Schemas } from '../../api/client';
import { getJson } from '../../api/list';

/** Proposals at most. */
const MOST = 60;

/** The name of a model, with those that clients may ask for as proposals. */
export function ModelInput({ value = '', ...props }: Omit<AutocompleteProps, 'data'>) {
  const [q] = useDebouncedValue(value.trim(), 200);
  const { data } = useQuery({
    queryKey: ['get', '/admin/api/models', 'proposals', q],
    queryFn: ({ signal }) => getJson<{ models: Schemas['Model'][] }>('/admin/api/models', { q, limit: MOST }, signal),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
  const names = useMemo(() => [...new Set((data?.models ?? []).filter(({ kind }) => kind !== 'pattern').map(({ name }) => name))], [data]);
  return <Autocomplete data={names} limit={MOST} maxDropdownHeight={320} spellCheck={false} autoComplete="off" autoCapitalize="off" value={value} {...props} />;
}
