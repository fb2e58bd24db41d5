import { Button, Group, Select, Tabs } from '@mantine/core';
import { IconFileImport, IconRefresh, IconTrash } from '@tabler/icons-react';
import type { RowSelectionState } from '@tanstack/react-table';
import { useCallback, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Problem } from '../../api/problem';
import { useTell } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { ImportDialog } from '../credentials/import/ImportDialog';
import { postJson, type Send } from '../credentials/import/useImport';
import { DeleteTokens, DisableToken } from './Asked';
import { useColumns } from './columns';
import { Events } from './Events';
import { PoolStanding } from './Standing';
import { narrowed, type Token } from './tokens';
import { useRefreshAll, useTokens } from './useTokens';

/** Accounts as those know them who looked after pools of refresh tokens before. */
export default function Tokens() {
  const { t } = useTranslation(['tokens', 'common']);
  const tell = useTell();
  const [search, set] = useSearch({ q: '', status: '', provider: '', tab: 'tokens', add: '' });
  const pool = useTokens();
  const [selection, setSelection] = useState<RowSelectionState>({});
  const [hydrate, setHydrate] = useState(true);
  const [deleting, setDeleting] = useState<Token[]>([]);
  const [disabling, setDisabling] = useState<Token | null>(null);
  const [refreshing, setRefreshing] = useState(false);
  const refreshAll = useRefreshAll();
  const columns = useColumns(setDeleting, setDisabling);
  const tokens = useMemo(() => pool.list.data ?? [], [pool.list.data]);
  const { q, status, provider } = search;
  const rows = useMemo(() => narrowed(tokens, { q, status, provider }), [tokens, q, status, provider]);
  const providers = useMemo(() => [...new Set(tokens.map((token) => token.provider))], [tokens]);
  // What a filter hides stays ticked, but nothing is done about what the reader does not see.
  const picked = useMemo(() => rows.filter((token) => selection[String(token.id)]), [rows, selection]);
  const send = useCallback<Send>(
    async (entries, provider, signal) => {
      // Only texts are given an access token at once; names come with accounts.
      const plain = hydrate && entries.every((entry) => Object.keys(entry).join() === 'refresh_token');
      const body = plain ? { tokens: entries.map((entry) => entry.refresh_token) } : { accounts: entries.map(({ name, ...entry }) => ({ ...entry, email: name })) };
      type Told = { data: { results: Awaited<ReturnType<Send>>['results']; hydrated?: number; hydrate_failed?: number } };
      return (await postJson<Told>('/admin/api/tokens/batch-import', provider ? { provider } : {}, body, signal)).data;
    },
    [hydrate],
  );
  return (
    <>
      <PageHeader title={t('common:screens.tokens')} about={t('about')}>
        <Button variant="default" leftSection={<IconRefresh size={16} />} loading={refreshAll.isPending} disabled={tokens.length === 0} onClick={() => setRefreshing(true)}>
          {t('refreshAll.do')}
        </Button>
        <Button leftSection={<IconFileImport size={16} />} onClick={() => set({ add: 'new' })}>
          {t('add')}
        </Button>
      </PageHeader>
      <PoolStanding pool={pool} status={status} onStatus={(status) => set({ status })} />
      <Tabs value={search.tab} onChange={(tab) => set({ tab: tab ?? 'tokens' })} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="tokens">{t('tabs.tokens')}</Tabs.Tab>
          <Tabs.Tab value="events">{t('tabs.events')}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="tokens">
          <Group gap="xs" mb="sm">
            <SearchInput size="xs" flex={1} miw={160} maw={320} label={t('search')} value={q} onSearch={(q) => set({ q })} />
            {providers.length > 1 && (
              <Select size="xs" w={160} clearable aria-label={t('columns.provider')} placeholder={t('columns.provider')} value={provider || null} data={providers} onChange={(value) => set({ provider: value ?? '' })} />
            )}
            {picked.length > 0 && (
              <Button size="xs" variant="light" color="red" leftSection={<IconTrash size={14} />} onClick={() => setDeleting(picked)}>
                {t('delete.picked', { count: picked.length })}
              </Button>
            )}
          </Group>
          <DataTable
            label={t('common:screens.tokens')}
            list={{ rows, key: JSON.stringify([search.q, search.status, search.provider]), isPending: pool.list.isPending, error: pool.list.error && Problem.of(pool.list.error), refetch: pool.list.refetch }}
            columns={columns}
            id={(row) => String(row.id)}
            rowHeight={46}
            height="calc(100dvh - 440px)"
            sortable
            selection={selection}
            onSelection={setSelection}
            name={({ email }) => email}
            empty={
              tokens.length > 0 ? (
                <Empty title={t('empty.filtered')} action={<Button variant="default" size="xs" onClick={() => set({ q: '', status: '', provider: '' })}>{t('empty.clear')}</Button>} />
              ) : (
                <Empty title={t('empty.title')} action={<Button onClick={() => set({ add: 'new' })}>{t('add')}</Button>}>
                  {t('empty.text')}
                </Empty>
              )
            }
          />
        </Tabs.Panel>
        <Tabs.Panel value="events">
          <Events tokens={tokens} />
        </Tabs.Panel>
      </Tabs>
      <ImportDialog opened={search.add !== ''} onClose={() => set({ add: '' })} tokens={{ send, most: hydrate ? 60 : 5_000, hydrate, onHydrate: setHydrate }} />
      <Confirm
        opened={refreshing}
        onClose={() => setRefreshing(false)}
        title={t('refreshAll.do')}
        action={t('refreshAll.go')}
        onConfirm={() => {
          setRefreshing(false);
          refreshAll.mutate(undefined, { onSuccess: (told) => tell.done(t('refreshAll.done', { success: told.success, failed: told.failed, total: told.total })), onError: tell.problem });
        }}
      >
        {t('refreshAll.text')}
      </Confirm>
      <DeleteTokens tokens={deleting} onClose={() => setDeleting([])} onDone={() => (setDeleting([]), setSelection({}))} />
      <DisableToken token={disabling} onClose={() => setDisabling(null)} />
    </>
  );
}
