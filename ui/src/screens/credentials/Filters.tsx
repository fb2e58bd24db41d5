import { Group, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';

export interface Filter extends Record<string, string> {
  q: string;
  provider: string;
  state: string;
  kind: string;
  origin: string;
}

export const NO_FILTER: Filter = { q: '', provider: '', state: '', kind: '', origin: '' };

const STATES = ['ready', 'cooling', 'exhausted', 'refreshing', 'invalid', 'disabled'];
const ORIGINS = ['file', 'database', 'environment', 'discovered'];

/** What of the list is shown. */
export function Filters({ filter, onChange }: { filter: Filter; onChange: (next: Partial<Filter>) => void }) {
  const { t } = useTranslation(['credentials', 'common']);
  const [text, setText] = useState(filter.q);
  const look = useDebouncedCallback((q: string) => onChange({ q }), 300);
  const providers = useAll('/admin/api/providers', 'providers');
  // Cleared from elsewhere.
  useEffect(() => {
    if (filter.q === '') setText('');
  }, [filter.q]);
  const pick = (name: 'state' | 'kind' | 'origin' | 'provider', data: { value: string; label: string }[]) => (
    <Select
      size="xs"
      w={{ base: 'calc(50% - 6px)', xs: 150 }}
      clearable
      searchable={name === 'provider'}
      aria-label={t(`columns.${name}`)}
      placeholder={t(`columns.${name}`)}
      value={filter[name] || null}
      onChange={(value) => onChange({ [name]: value ?? '' })}
      data={data}
    />
  );
  const names = providers.rows.map((one) => one.name);
  // One that is not there any more is shown all the same: the filter is in force.
  if (filter.provider && !names.includes(filter.provider)) names.unshift(filter.provider);
  return (
    <Group gap="xs" mb="sm">
      <TextInput
        size="xs"
        flex={1}
        miw={160}
        maw={320}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          look(event.currentTarget.value);
        }}
        placeholder={t('filters.search')}
        aria-label={t('filters.search')}
        leftSection={<IconSearch size={14} />}
      />
      {pick('provider', names.map((value) => ({ value, label: value })))}
      {pick('state', STATES.map((value) => ({ value, label: t(`common:states.${value}`) })))}
      {pick('kind', ['key', 'account'].map((value) => ({ value, label: t(`kinds.${value}`) })))}
      {pick('origin', ORIGINS.map((value) => ({ value, label: t(`common:origins.${value}`) })))}
    </Group>
  );
}
