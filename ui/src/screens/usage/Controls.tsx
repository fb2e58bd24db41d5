import { Button, Group, MultiSelect, SegmentedControl, Select, Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { IconX } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { getJson } from '../../api/list';
import { useSession } from '../../app/session';
import { RangePicker } from '../../widgets/RangePicker';
import { monthOf, type RangeSearch, rangeOf } from '../../widgets/range';
import { periodFor, periodsFor } from './periods';
import { type Dimension, dimensionsOf, MEASURES, nameOf, type Row } from './sums';
import { FILTERS, type Filters, USUAL } from './useUsage';

export type Search = RangeSearch & Filters & { by: string; measure: string; period: string; compare: string; currency: string };

interface Props {
  search: Search;
  onChange: (next: Partial<Search>) => void;
  by: Dimension[];
  currencies: string[];
  currency: string;
  /** Sums of what is asked for are kept by day alone. */
  byDay: boolean;
}

/** Which time, what is told apart, and what is measured. */
export function Controls({ search, onChange, by, currencies, currency, byDay }: Props) {
  const { t } = useTranslation(['usage', 'common']);
  const { role } = useSession();
  const range = rangeOf(search, USUAL);
  const month = (offset: number) => {
    const { from, to } = monthOf(offset);
    onChange({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  };
  return (
    <Group gap="sm" mb="md" align="flex-end">
      <RangePicker spans={['24h', '7d', '30d', '90d', '365d']} usual={USUAL} search={search} onChange={onChange} />
      <Button.Group>
        <Button size="xs" variant="default" onClick={() => month(0)}>
          {t('thisMonth')}
        </Button>
        <Button size="xs" variant="default" onClick={() => month(-1)}>
          {t('lastMonth')}
        </Button>
      </Button.Group>
      <MultiSelect
        size="xs"
        w={{ base: '100%', sm: 230 }}
        label={t('groupBy')}
        data={dimensionsOf(role).map((value) => ({ value, label: t(`by.${value}`) }))}
        value={by}
        maxValues={3}
        onChange={(next) => onChange({ by: next.join() })}
        hidePickedOptions
      />
      <Select
        size="xs"
        w={130}
        label={t('period')}
        data={(byDay ? (['day'] as const) : periodsFor(range)).map((value) => ({ value, label: t(`periods.${value}`) }))}
        value={byDay ? 'day' : periodFor(range, search.period)}
        title={byDay ? t('byDay') : undefined}
        onChange={(period) => onChange({ period: period ?? '' })}
        allowDeselect={false}
      />
      <div>
        <SegmentedControl
          size="xs"
          aria-label={t('measure')}
          data={MEASURES.map((value) => ({ value, label: t(value) }))}
          value={search.measure}
          onChange={(measure) => onChange({ measure })}
        />
      </div>
      {currencies.length > 1 && (
        <Select size="xs" w={100} label={t('currency')} data={currencies} value={currency} onChange={(next) => onChange({ currency: next ?? '' })} allowDeselect={false} />
      )}
      <Switch size="sm" mb={6} label={t('compare')} checked={search.compare !== ''} onChange={(event) => onChange({ compare: event.currentTarget.checked ? '1' : '' })} />
    </Group>
  );
}

/** What is shown of all, each to be taken away. */
export function Pills({ search, onChange, credentials }: Pick<Props, 'search' | 'onChange'> & { credentials: Map<string, string> }) {
  const { t } = useTranslation(['usage', 'common']);
  const given = FILTERS.filter((name) => search[name] !== '');
  if (given.length === 0) return null;
  return (
    <Group gap="xs" mb="sm" role="group" aria-label={t('only')}>
      {given.map((name) => (
        <Pill key={name} name={name} id={search[name]} credentials={credentials} onRemove={() => onChange({ [name]: '' })} />
      ))}
    </Group>
  );
}

function Pill({ name, id, credentials, onRemove }: { name: (typeof FILTERS)[number]; id: string; credentials: Map<string, string>; onRemove: () => void }) {
  const { t } = useTranslation(['usage', 'common']);
  const dimension: Dimension = name === 'of_key' ? 'key' : name;
  const hasName = ['key', 'user', 'team'].includes(dimension);
  const { data } = useQuery({
    queryKey: ['get', '/admin/api/usage', 'name', name, id],
    queryFn: ({ signal }) => getJson<Schemas['Usage']>('/admin/api/usage', { by: dimension, [name]: id, period: 'month', limit: 1 }, signal),
    enabled: hasName,
    staleTime: 60_000,
  });
  const word = (data?.rows[0] && nameOf(data.rows[0] as Row, dimension)) ?? credentials.get(id) ?? id;
  return (
    <Button size="compact-xs" variant="light" rightSection={<IconX size={12} />} onClick={onRemove} aria-label={t('remove', { name: `${t(`by.${dimension}`)}: ${word}` })}>
      {t(`by.${dimension}`)}: <bdi>{word}</bdi>
    </Button>
  );
}
