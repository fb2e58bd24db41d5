import { Badge, Button, Group, Select } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { useMay, useStatus } from '../../app/session';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { Opened } from '../../widgets/Opened';
import { PageHeader } from '../../widgets/PageHeader';
import { useLimitWords } from '../../widgets/rules/RulesSummary';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { useUsedColumn } from '../../widgets/usedColumn';
import { type Key, stateOf } from './key';
import { KeyDrawer } from './KeyDrawer';
import { KeyEditor } from './KeyEditor';
import { KeyMade } from './KeyMade';

const COLOURS = { ready: 'teal', disabled: 'gray', expired: 'red' };

/** The keys that clients show: who has which, what they may do, and until when. */
export default function Keys() {
  const { t } = useTranslation(['keys', 'common']);
  const format = useFormat();
  const words = useLimitWords();
  const [search, setSearch] = useSearch({ q: '', enabled: '', user: '', team: '', id: '', new: '' });
  const list = useList('/admin/api/keys', 'keys', { q: search.q, enabled: search.enabled, user: search.user, team: search.team });
  // Only admins know whether clients are let in without a key.
  const open = useStatus(useMay()('admin')).data?.open ?? false;
  const [made, setMade] = useState<{ key: Key; rotated: boolean } | null>(null);

  const used = useUsedColumn<Key>('key');
  const columns = useMemo<ColumnDef<Key>[]>(
    () => [
      { id: 'name', header: t('name'), cell: ({ row }) => <bdi>{row.original.name}</bdi>, meta: { width: 'minmax(140px, 1.4fr)' } },
      { id: 'masked', header: t('key'), cell: ({ row }) => <code>{row.original.masked}</code>, meta: { wide: true } },
      {
        id: 'owner',
        header: t('owner'),
        cell: ({ row }) => <bdi>{row.original.user?.name ?? row.original.team?.name ?? '–'}</bdi>,
        meta: { width: 'minmax(100px, 1fr)' },
      },
      {
        id: 'state',
        header: t('state'),
        cell: ({ row }) => <Badge color={COLOURS[stateOf(row.original)]}>{t(`states.${stateOf(row.original)}`)}</Badge>,
        meta: { width: '100px' },
      },
      {
        id: 'models',
        header: t('common:rules.models'),
        cell: ({ row }) => (row.original.models.length ? row.original.models.join(', ') : t('common:rules.everything')),
        meta: { wide: true },
      },
      used,
      {
        id: 'limits',
        header: t('common:rules.limits'),
        cell: ({ row }) => row.original.limits.map(words).join(', ') || '–',
        meta: { wide: true, width: 'minmax(140px, 1.3fr)' },
      },
      { id: 'expires', header: t('expires'), cell: ({ row }) => (row.original.expires_at ? format.ago(row.original.expires_at) : t('never')), meta: { wide: true, width: '130px' } },
    ],
    [t, format, words, used],
  );
  const narrowed = [search.q, search.enabled, search.user, search.team].some((text) => text !== '');

  return (
    <>
      <PageHeader title={t('common:screens.keys')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setSearch({ new: '1' })}>
          {t('make')}
        </Button>
      </PageHeader>
      <Group mb="sm" gap="xs">
        <SearchInput value={search.q} onSearch={(q) => setSearch({ q })} />
        <Select
          aria-label={t('state')}
          data={[
            { value: '', label: t('common:all') },
            { value: 'true', label: t('common:enabled') },
            { value: 'false', label: t('common:disabled') },
          ]}
          value={search.enabled}
          onChange={(enabled) => setSearch({ enabled: enabled ?? '' })}
          allowDeselect={false}
          w={130}
        />
        {(search.user || search.team) && (
          <Button variant="default" size="compact-sm" onClick={() => setSearch({ user: '', team: '' })}>
            {t('showAll')}
          </Button>
        )}
      </Group>
      <DataTable
        label={t('common:screens.keys')}
        list={list}
        columns={columns}
        id={(key) => key.id}
        onOpen={(key) => setSearch({ id: key.id })}
        empty={
          narrowed ? (
            <Empty title={t('noneFound')} action={<Button variant="default" onClick={() => setSearch({ q: '', enabled: '', user: '', team: '' })}>{t('clear')}</Button>} />
          ) : (
            <Empty title={t('none')} action={<Button onClick={() => setSearch({ new: '1' })}>{t('make')}</Button>}>
              {t(open ? 'noneTextOpen' : 'noneText')}
            </Empty>
          )
        }
      />
      <Opened<Key>
        path="/admin/api/keys"
        rows={list.rows}
        isPending={list.isPending}
        search={search}
        setSearch={setSearch}
        look={(of, onEdit, onClose) => <KeyDrawer of={of} onEdit={onEdit} onClose={onClose} onRotated={(key) => setMade({ key, rotated: true })} />}
        edit={(props) => <KeyEditor {...props} />}
        onMade={(key) => setMade({ key, rotated: false })}
      />
      {made && <KeyMade made={made.key} rotated={made.rotated} onClose={() => setMade(null)} />}
    </>
  );
}
