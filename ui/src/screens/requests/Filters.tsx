import { Button, Group, NumberInput, Pill, Popover, SegmentedControl, Select, SimpleGrid } from '@mantine/core';
import { IconFilter } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { useMay } from '../../app/session';
import { RangePicker } from '../../widgets/RangePicker';
import { useModelNames } from '../../widgets/rules/RulesFields';
import { SearchInput } from '../../widgets/SearchInput';
import type { Row } from './figures';
import { FILTERS, type Filter, OUTCOMES, type Search } from './filters';
import { Called, PickName, PickSubject, WITHIN } from './Pick';

interface Props {
  search: Search;
  onChange: (next: Partial<Search>) => void;
  /** What is listed: who may not ask for all names is offered those. */
  rows: Row[];
}

const STATUS = ['2xx', '4xx', '5xx', '400', '401', '402', '403', '404', '408', '413', '429', '499', '500', '502', '503', '504', '529'];

/** What is looked for. Everything stands in the address. */
export function Filters({ search, onChange, rows }: Props) {
  const { t } = useTranslation(['requests', 'common']);
  const given = FILTERS.filter((name) => search[name] !== '' && name !== 'q');
  return (
    <>
      <Group gap="xs" mb="xs">
        <SearchInput size="xs" w={{ base: '100%', xs: 260 }} label={t('filters.q')} value={search.q} onSearch={(q) => onChange({ q })} />
        <RangePicker spans={['15m', '1h', '24h', '7d', '30d', 'all']} usual="all" search={search} onChange={onChange} />
        <SegmentedControl
          size="xs"
          aria-label={t('filters.failed')}
          value={search.failed}
          onChange={(failed) => onChange({ failed })}
          data={[
            { value: '', label: t('common:all') },
            { value: 'true', label: t('filters.onlyFailed') },
            { value: 'false', label: t('filters.onlyGood') },
          ]}
        />
        <Popover width={460} position="bottom-start" trapFocus withinPortal shadow="md">
          <Popover.Target>
            <Button size="xs" variant="default" leftSection={<IconFilter size={16} />}>
              {t('filters.more')}
            </Button>
          </Popover.Target>
          <Popover.Dropdown maw="94vw">
            <More search={search} onChange={onChange} rows={rows} />
          </Popover.Dropdown>
        </Popover>
      </Group>
      {given.length > 0 && (
        <Group gap={6} mb="xs">
          {given.map((name) => (
            <Pill key={name} withRemoveButton onRemove={() => onChange({ [name]: '' })} removeButtonProps={{ 'aria-label': t('filters.remove', { name: t(`filters.${name}`) }), 'aria-hidden': false, tabIndex: 0 }}>
              {t(`filters.${name}`)}: <bdi><Value name={name} search={search} rows={rows} /></bdi>
            </Pill>
          ))}
          <Button size="compact-xs" variant="subtle" onClick={() => onChange(Object.fromEntries(FILTERS.map((name) => [name, ''])))}>
            {t('filters.clear')}
          </Button>
        </Group>
      )}
    </>
  );
}

/** A filter's value in words. */
function Value({ name, search, rows }: { name: Filter; search: Search; rows: Row[] }) {
  const { t } = useTranslation(['requests', 'common']);
  const value = search[name];
  if (name === 'failed') return t(value === 'true' ? 'filters.onlyFailed' : 'filters.onlyGood');
  if (name === 'protocol') return t(`common:protocols.${value}`, { defaultValue: value });
  if (name === 'outcome') return t(`outcomes.${value}`, { defaultValue: value });
  if (name === 'min_duration_ms') return `${value} ms`;
  if (name === 'of_key') return <Called list="keys" id={value} name={rows.find(({ key }) => key?.id === value)?.key?.name} />;
  if (name === 'user') return <Called list="users" id={value} name={rows.find(({ user }) => user?.id === value)?.user?.name} />;
  if (name === 'team') return <Called list="teams" id={value} name={rows.find(({ team }) => team?.id === value)?.team?.name} />;
  if (name === 'credential') return <Called list="credentials" id={value} />;
  return value;
}

function More({ search, onChange, rows }: Props) {
  const { t } = useTranslation(['requests', 'common']);
  const may = useMay();
  const admin = may('admin');
  const models = useModelNames(admin);
  const { rows: providers } = useAll('/admin/api/providers', 'providers', {}, { enabled: admin, staleTime: 60_000 });
  const names = (listed: string[], seen: string[]) => [...new Set([...listed, ...seen])].sort();
  const set = (name: Filter) => (value: string) => onChange({ [name]: value });
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xs">
      <PickName label={t('filters.model')} value={search.model} onChange={set('model')} names={names(models, rows.map(({ model }) => model))} />
      <PickName label={t('filters.provider')} value={search.provider} onChange={set('provider')}
        names={names(providers.map(({ name }) => name), rows.flatMap(({ attempts }) => attempts.map(({ provider }) => provider)))} />
      {admin && <PickSubject list="credentials" label={t('filters.credential')} value={search.credential} onChange={set('credential')} />}
      <PickSubject list="keys" label={t('filters.of_key')} value={search.of_key} onChange={set('of_key')} />
      {may('manager') && <PickSubject list="users" label={t('filters.user')} value={search.user} onChange={set('user')} />}
      {admin && <PickSubject list="teams" label={t('filters.team')} value={search.team} onChange={set('team')} />}
      <Select comboboxProps={WITHIN} label={t('filters.protocol')} size="xs" clearable value={search.protocol || null} onChange={(value) => set('protocol')(value ?? '')}
        data={['chat', 'responses', 'messages', 'gemini'].map((value) => ({ value, label: t(`common:protocols.${value}`) }))} />
      <PickName label={t('filters.status')} value={search.status} onChange={set('status')} names={STATUS} />
      <Select comboboxProps={WITHIN} label={t('filters.outcome')} size="xs" clearable searchable value={search.outcome || null} onChange={(value) => set('outcome')(value ?? '')}
        data={OUTCOMES.map((value) => ({ value, label: t(`outcomes.${value}`) }))} />
      <NumberInput label={t('filters.min_duration_ms')} size="xs" min={0} max={4_294_967_295} step={1000} suffix=" ms" thousandSeparator allowDecimal={false} clampBehavior="strict"
        value={search.min_duration_ms === '' ? '' : Number(search.min_duration_ms)} onChange={(value) => set('min_duration_ms')(value === '' ? '' : String(value))} />
    </SimpleGrid>
  );
}
