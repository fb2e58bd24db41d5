import { Button, Group, Select } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { AddProvider } from './AddProvider';
import { type Provider, useColumns } from './columns';
import { DeleteProvider } from './DeleteProvider';
import { Detail } from './Detail';

const STATES = ['ready', 'cooling', 'exhausted', 'refreshing', 'invalid', 'disabled'];
const ORIGINS = ['file', 'database', 'environment', 'discovered', 'built_in'];
const PROTOCOLS = ['chat', 'responses', 'messages', 'gemini'];

/** The services that answer. */
export default function Providers() {
  const { t } = useTranslation(['providers', 'common']);
  const [search, set] = useSearch({ q: '', state: '', origin: '', protocol: '', open: '', tab: 'overview', add: '' });
  const { q, state, origin, protocol } = search;
  const [deleting, setDeleting] = useState<Provider | null>(null);
  const list = useList('/admin/api/providers', 'providers', { q, state, origin, protocol }, { refetchInterval: 5_000 });
  const open = useCallback((name: string, tab = 'overview') => set({ open: name, tab }), [set]);
  const columns = useColumns(open, setDeleting);
  const filtered = Boolean(q || state || origin || protocol);
  const pick = (name: 'state' | 'origin' | 'protocol', values: string[], words: string) => (
    <Select
      size="xs"
      w={150}
      clearable
      aria-label={t(`columns.${name}`)}
      placeholder={t(`columns.${name}`)}
      value={search[name] || null}
      onChange={(value) => set({ [name]: value ?? '' })}
      data={values.map((value) => ({ value, label: t(`common:${words}.${value}`) }))}
    />
  );
  return (
    <>
      <PageHeader title={t('common:screens.providers')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => set({ add: 'new' })}>
          {t('add')}
        </Button>
      </PageHeader>
      <Group gap="xs" mb="sm">
        <SearchInput size="xs" flex={1} miw={160} maw={320} value={q} onSearch={(q) => set({ q })} />
        {pick('state', STATES, 'states')}
        {pick('protocol', PROTOCOLS, 'protocols')}
        {pick('origin', ORIGINS, 'origins')}
      </Group>
      <DataTable
        label={t('common:screens.providers')}
        list={list}
        columns={columns}
        id={(row) => row.name}
        sortable={!list.hasMore}
        onOpen={(row) => open(row.name)}
        empty={
          filtered ? (
            <Empty
              title={t('empty.filtered')}
              action={
                <Button variant="default" size="xs" onClick={() => set({ q: '', state: '', origin: '', protocol: '' })}>
                  {t('empty.clear')}
                </Button>
              }
            />
          ) : (
            <Empty title={t('empty.title')} action={<Button onClick={() => set({ add: 'new' })}>{t('add')}</Button>}>
              {t('empty.text')}
            </Empty>
          )
        }
      />
      <AddProvider opened={search.add !== ''} onClose={() => set({ add: '' })} />
      <Detail name={search.open} tab={search.tab} onTab={(tab) => set({ tab })} onClose={() => set({ open: '', tab: 'overview' })} onDelete={setDeleting} />
      <DeleteProvider
        provider={deleting}
        onClose={() => setDeleting(null)}
        onDone={() => {
          setDeleting(null);
          set({ open: '', tab: 'overview' });
        }}
      />
    </>
  );
}
