import { ActionIcon, Button, Text, Tooltip } from '@mantine/core';
import { IconFileImport, IconRefresh } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { Confirm } from '../../widgets/confirm';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import type { Act } from './acts';
import { BulkBar } from './BulkBar';
import { BulkDialog } from './BulkDialog';
import { useColumns } from './columns';
import { Detail } from './Detail';
import { Filters, type Filter, NO_FILTER } from './Filters';
import { ImportDialog } from './import/ImportDialog';
import { Statistics } from './Statistics';
import { useBulk } from './useBulk';
import { useSelection } from './useSelection';

/** More than these are not deleted without typing the number, and nothing is done to them that is not asked about first. */
const FEW = 5;
const MANY = 500;

/** The keys and accounts of all providers. */
export default function Credentials() {
  const { t } = useTranslation(['credentials', 'common']);
  const [search, set] = useSearch({ ...NO_FILTER, open: '', tab: 'overview', add: '' });
  const { q, provider, state, kind, origin } = search;
  const filter: Filter = { q, provider, state, kind, origin };
  // All pages that were fetched come anew at once: of many they do so when something was changed, not on a timer.
  const [many, setMany] = useState(false);
  const list = useList('/admin/api/credentials', 'credentials', filter, { refetchInterval: many ? false : 10_000 });
  useEffect(() => setMany(list.rows.length > MANY), [list.rows.length]);
  const columns = useColumns();
  const picked = useSelection(filter, list.rows);
  const bulk = useBulk();
  const [deleting, setDeleting] = useState<{ id: string; label: string }[]>([]);
  const [asking, setAsking] = useState<{ act: Exclude<Act, 'delete' | 'enable'>; targets: { id: string; label: string }[]; open: boolean } | null>(null);
  const run = (act: Act) => {
    const targets = picked.targets();
    if (act === 'delete') setDeleting(targets);
    else if (act === 'enable' || targets.length <= FEW) void bulk.run(act, targets);
    else setAsking({ act, targets, open: true });
  };
  const filtered = Object.values(filter).some(Boolean);
  const more = list.hasMore && picked.count >= list.rows.length;
  return (
    <>
      <PageHeader title={t('common:screens.credentials')} about={t('about')}>
        {many && (
          <Tooltip label={t('common:refresh')}>
            <ActionIcon variant="default" size={36} aria-label={t('common:refresh')} onClick={() => void list.refetch()} loading={list.isFetching && !list.loadingMore}>
              <IconRefresh size={17} />
            </ActionIcon>
          </Tooltip>
        )}
        <Button leftSection={<IconFileImport size={16} />} onClick={() => set({ add: 'new' })}>
          {t('add')}
        </Button>
      </PageHeader>
      <Statistics state={state} onState={(state) => set({ state })} />
      <Filters filter={filter} onChange={set} />
      <BulkBar count={picked.count} onAct={run} onClear={picked.clear} onAll={more ? () => void picked.pickAll() : undefined} pickingAll={picked.picking} />
      <DataTable
        label={t('common:screens.credentials')}
        list={list}
        columns={columns}
        id={(row) => row.id}
        rowHeight={46}
        height="calc(100dvh - 330px)"
        onOpen={(row) => set({ open: row.id })}
        selection={picked.selection}
        onSelection={picked.setSelection}
        name={({ provider, label }) => `${provider} · ${label}`}
        empty={
          filtered ? (
            <Empty title={t('empty.filtered')} action={<Button variant="default" size="xs" onClick={() => set(NO_FILTER)}>{t('empty.clear')}</Button>} />
          ) : (
            <Empty title={t('empty.title')} action={<Button onClick={() => set({ add: 'new' })}>{t('add')}</Button>}>
              {t('empty.text')}
            </Empty>
          )
        }
      />
      <Detail
        id={search.open}
        tab={search.tab}
        onTab={(tab) => set({ tab })}
        onClose={() => set({ open: '', tab: 'overview' })}
        onDelete={({ id, label }) => setDeleting([{ id, label }])}
      />
      <ImportDialog opened={search.add !== ''} onClose={() => set({ add: '' })} />
      <Confirm
        opened={deleting.length > 0}
        onClose={() => setDeleting([])}
        title={t('delete.title', { count: deleting.length })}
        action={t('common:delete')}
        typed={deleting.length > FEW ? String(deleting.length) : undefined}
        onConfirm={() => {
          const targets = deleting;
          setDeleting([]);
          set({ open: '', tab: 'overview' });
          void bulk.run('delete', targets, picked.drop);
        }}
      >
        {deleting.length === 1 && (
          <Text size="sm" fw={600} mb={4}>
            <bdi>{deleting[0]?.label}</bdi>
          </Text>
        )}
        {t('delete.text')}
      </Confirm>
      {asking && (
        <Confirm
          opened={asking.open}
          onClose={() => setAsking({ ...asking, open: false })}
          title={t('bulk.ask.title', { act: t(`acts.${asking.act}`), count: asking.targets.length })}
          action={t(`acts.${asking.act}`)}
          typed={asking.targets.length > MANY ? String(asking.targets.length) : undefined}
          onConfirm={() => {
            void bulk.run(asking.act, asking.targets);
            setAsking({ ...asking, open: false });
          }}
        >
          {t(`bulk.ask.${asking.act}`)}
        </Confirm>
      )}
      <BulkDialog bulk={bulk} />
    </>
  );
}
