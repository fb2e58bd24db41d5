import { Group, Select } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { SearchInput } from '../../widgets/SearchInput';

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
  const providers = useAll('/admin/api/providers', 'providers');
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
      <SearchInput size="xs" flex={1} miw={160} maw={320} label={t('filters.search')} value={filter.q} onSearch={(q) => onChange({ q })} />
      {pick('provider', names.map((value) => ({ value, label: value })))}
      {pick('state', STATES.map((value) => ({ value, label: t(`common:states.${value}`) })))}
      {pick('kind', ['key', 'account'].map((value) => ({ value, label: t(`kinds.${value}`) })))}
      {pick('origin', ORIGINS.map((value) => ({ value, label: t(`common:origins.${value}`) })))}
    </Group>
  );
}
