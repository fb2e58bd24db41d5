import { Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { getJson } from '../api/list';

interface Props {
  label: string;
  description?: string;
  placeholder?: string;
  value: string | null;
  /** The name of what is chosen already, while the list is not there yet. */
  named?: string | null;
  onChange: (id: string | null, name: string | null) => void;
  error?: string;
  disabled?: boolean;
}

/** Chooses one of a list that may be long: what is typed is searched for by the gateway. */
function Picker({ path, member, ...props }: Props & { path: string; member: string }) {
  const [search, setSearch] = useState('');
  const [asked] = useDebouncedValue(search, 200);
  // What stands in the field after a choice is its name, which is no search.
  const q = asked === props.named ? '' : asked;
  const { data } = useQuery({
    queryKey: ['get', path, 'picker', q],
    queryFn: async ({ signal }) => (await getJson<Record<string, { id: string; name: string }[]>>(path, { limit: 50, q }, signal))[member] ?? [],
    placeholderData: keepPreviousData,
    staleTime: 15_000,
  });
  const options = (data ?? []).map(({ id, name }) => ({ value: id, label: name }));
  if (props.value && !options.some(({ value }) => value === props.value)) options.unshift({ value: props.value, label: props.named ?? props.value });
  return (
    <Select
      label={props.label}
      description={props.description}
      placeholder={props.placeholder}
      data={options}
      value={props.value}
      onChange={(id, option) => props.onChange(id, option?.label ?? null)}
      searchable
      clearable
      searchValue={search}
      onSearchChange={setSearch}
      filter={({ options }) => options}
      error={props.error}
      disabled={props.disabled}
    />
  );
}

export const UserPicker = (props: Props) => <Picker {...props} path="/admin/api/users" member="users" />;
export const TeamPicker = (props: Props) => <Picker {...props} path="/admin/api/teams" member="teams" />;
