import { Button, Drawer, Group, Select } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import { Link, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll, useList } from '../../api/list';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { inOrder, keyOf } from '../routes/route';
import { useColumns } from './columns';
import { type Entry, KINDS, rulesOf } from './model';
import { ModelDetail } from './ModelDetail';
import { RuleDialog } from './RuleDialog';
import { usePrices } from './usePrices';

/** Everything that clients may ask for, and where it leads. */
export default function Screen() {
  const { t } = useTranslation(['models', 'common']);
  const navigate = useNavigate();
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false }) ?? false;
  const [search, setSearch] = useSearch({ q: '', kind: '', provider: '', open: '', rule: '', for: '' });
  const q = search.q.trim();
  const onlyRules = search.kind === 'rule';
  const list = useList('/admin/api/models', 'models', { q, kind: onlyRules ? '' : search.kind, provider: search.provider }, { enabled: !onlyRules });
  const routes = useAll('/admin/api/routes', 'routes', {}, { staleTime: 15_000 });
  const pools = useAll('/admin/api/pools', 'pools', {}, { staleTime: 15_000 });
  const { prices, services, providers } = usePrices();
  const rows = useMemo<Entry[]>(() => {
    const rules = search.kind === '' || onlyRules ? rulesOf(inOrder(routes.rows), q, search.provider) : [];
    return [...rules, ...(onlyRules ? [] : list.rows.map((model): Entry => ({ kind: 'name', model })))];
  }, [search.kind, search.provider, onlyRules, routes.rows, list.rows, q]);
  const ownerOf = useCallback(
    (entry: Entry): string | null => {
      if (entry.kind === 'rule') return entry.route.origin;
      const { kind, name, providers: served } = entry.model;
      if (kind === 'pool') return pools.rows.find((pool) => pool.name === name)?.origin ?? null;
      // Declared models and patterns stand in the configuration file alone, what is listed belongs to its provider.
      if (kind !== 'listed') return 'file';
      return providers.find((provider) => provider.name === served[0])?.origin ?? null;
    },
    [pools.rows, providers],
  );
  const columns = useColumns({ prices, services, ownerOf, narrow });
  const open = rows.find((entry) => entry.kind === 'name' && entry.model.name === search.open);
  // One that was linked to may stand on a page that was not read yet.
  const linked = useList('/admin/api/models', 'models', { q: search.open }, { enabled: search.open !== '' && open === undefined });
  const model = open?.kind === 'name' ? open.model : linked.rows.find(({ name }) => name === search.open);
  const filtered = q !== '' || search.kind !== '' || search.provider !== '';
  return (
    <>
      <PageHeader title={t('common:screens.models')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setSearch({ rule: 'new', for: '' })}>
          {t('rule.make')}
        </Button>
      </PageHeader>
      <Group mb="sm" gap="sm">
        <SearchInput label={t('search')} value={search.q} onSearch={(q) => setSearch({ q })} w={{ base: '100%', xs: 280 }} />
        <Select
          aria-label={t('columns.kind')}
          data={[{ value: '', label: t('allKinds') }, ...KINDS.map((value) => ({ value, label: t(`kindsLong.${value}`) }))]}
          value={search.kind}
          onChange={(kind) => setSearch({ kind: kind ?? '' })}
          allowDeselect={false}
          w={{ base: '100%', xs: 220 }}
        />
        <Select
          aria-label={t('columns.provider')}
          data={[{ value: '', label: t('allProviders') }, ...providers.map(({ name }) => ({ value: name, label: name }))]}
          value={search.provider}
          onChange={(provider) => setSearch({ provider: provider ?? '' })}
          allowDeselect={false}
          searchable={providers.length > 8}
          w={{ base: '100%', xs: 200 }}
        />
      </Group>
      <DataTable
        label={t('common:screens.models')}
        list={onlyRules ? { rows, error: routes.error, isPending: routes.isPending, refetch: routes.refetch } : { ...list, rows }}
        columns={columns}
        id={(entry) => (entry.kind === 'rule' ? `rule ${keyOf(entry.route)}` : `${entry.model.kind} ${entry.model.name}`)}
        rowHeight={46}
        onOpen={(entry) => (entry.kind === 'rule' ? void navigate({ to: '/routes', search: { open: keyOf(entry.route) } as never }) : setSearch({ open: entry.model.name }))}
        empty={
          filtered ? (
            <Empty title={t('nothing.title')} action={q !== '' && <Button component={Link} variant="default" to="/explain" search={{ model: q } as never}>{t('nothing.explain', { name: q })}</Button>}>
              {t('nothing.text')}
            </Empty>
          ) : (
            <Empty title={t('empty.title')} action={<Button component={Link} to="/providers">{t('empty.do')}</Button>}>
              {t('empty.text')}
            </Empty>
          )
        }
      />
      <Drawer opened={search.open !== '' && model !== undefined} onClose={() => setSearch({ open: '' })} size="min(560px, 100%)" title={t('detail')}>
        {model && <ModelDetail model={model} owner={ownerOf({ kind: 'name', model })} prices={prices} services={services} onRule={() => setSearch({ rule: 'new', for: model.name, open: '' })} />}
      </Drawer>
      <RuleDialog opened={search.rule !== ''} name={search.for} onClose={() => setSearch({ rule: '', for: '' })} />
    </>
  );
}
