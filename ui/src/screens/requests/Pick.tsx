import { Autocomplete, Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { getJson, useList } from '../../api/list';

interface Subject {
  id: string;
  name?: string;
  /** Credentials have labels within their provider. */
  provider?: string;
  label?: string;
}

const nameOf = ({ id, name, provider, label }: Subject) => name ?? (provider && label ? `${provider} · ${label}` : id);

/** Lists that open within a panel are part of it: a choice elsewhere would close the panel before it is made. */
export const WITHIN = { withinPortal: false };

type List = 'users' | 'teams' | 'keys' | 'credentials';

/** What is called by an id. */
function useName(list: List, id: string, enabled: boolean): string | undefined {
  const path = `/admin/api/${list}`;
  const { data } = useQuery({
    queryKey: ['get', `${path}/${id}`],
    queryFn: ({ signal }) => getJson<Subject>(`${path}/${encodeURIComponent(id)}`, {}, signal),
    enabled,
    retry: false,
    staleTime: 60_000,
  });
  return data && nameOf(data);
}

/** What somebody or something is called; asked for where no row that is listed tells it. */
export function Called({ list, id, name }: { list: List; id: string; name?: string | null }) {
  const asked = useName(list, id, name == null);
  return name ?? asked ?? id;
}

/** One of the users, teams, keys or credentials, found by what is typed; the address holds its id. */
export function PickSubject({ list, label, value, onChange }: { list: List; label: string; value: string; onChange: (id: string) => void }) {
  const [typed, setTyped] = useState('');
  const [q] = useDebouncedValue(typed, 250);
  const path = `/admin/api/${list}` as const;
  const { rows } = useList(path, list, { q }, { pageSize: 50 });
  const found = rows as unknown as Subject[];
  const known = found.some((one) => one.id === value);
  // A link may name one that is not among those on the first page.
  const chosen = useName(list, value, value !== '' && !known);
  const options = found.map((one) => ({ value: one.id, label: nameOf(one) }));
  if (value !== '' && !known) options.unshift({ value, label: chosen ?? value });
  return (
    <Select
      label={label}
      size="xs"
      searchable
      clearable
      data={options}
      filter={({ options }) => options}
      value={value || null}
      onChange={(id) => onChange(id ?? '')}
      onSearchChange={(text) => setTyped(options.some((option) => option.label === text) ? '' : text)}
      limit={50}
      comboboxProps={WITHIN}
    />
  );
}

/** A name, of those that are known or any other. */
export function PickName({ label, names, value, onChange }: { label: string; names: string[]; value: string; onChange: (name: string) => void }) {
  const [text, setText] = useState(value);
  const [before, setBefore] = useState(value);
  if (value !== before) {
    setBefore(value);
    setText(value);
  }
  return (
    <Autocomplete
      label={label}
      size="xs"
      data={names}
      value={text}
      onChange={setText}
      onOptionSubmit={onChange}
      onBlur={() => text.trim() !== value && onChange(text.trim())}
      onKeyDown={(event) => event.key === 'Enter' && !event.nativeEvent.isComposing && onChange(text.trim())}
      limit={50}
      clearable
      onClear={() => onChange('')}
      openOnFocus={false}
      comboboxProps={WITHIN}
    />
  );
}
