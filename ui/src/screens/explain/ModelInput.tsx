import { Autocomplete, type AutocompleteProps } from '@mantine/core';
import { useMemo } from 'react';

import { useAll } from '../../api/list';

/** The name of a model, with those that clients may ask for as proposals. */
export function ModelInput(props: Omit<AutocompleteProps, 'data'>) {
  const { rows } = useAll('/admin/api/models', 'models', {}, { staleTime: 30_000 });
  const names = useMemo(() => [...new Set(rows.filter((model) => model.kind !== 'pattern').map((model) => model.name))], [rows]);
  return <Autocomplete data={names} limit={60} maxDropdownHeight={320} spellCheck={false} autoComplete="off" autoCapitalize="off" {...props} />;
}
