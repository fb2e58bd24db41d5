import { Badge, Button, Group } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { useMay } from '../../app/session';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { Opened } from '../../widgets/Opened';
import { PageHeader } from '../../widgets/PageHeader';
import { useLimitWords } from '../../widgets/rules/RulesSummary';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { useUsedColumn } from '../../widgets/usedColumn';
import type { Team } from './team';
import { TeamDrawer } from './TeamDrawer';
import { TeamEditor } from './TeamEditor';

/** Teams: what their members and keys may do together. */
export default function Teams() {
  const { t } = useTranslation(['teams', 'common', 'keys']);
  const format = useFormat();
  const words = useLimitWords();
  const admin = useMay()('admin');
  const [search, setSearch] = useSearch({ q: '', id: '', new: '' });
  const list = useList('/admin/api/teams', 'teams', { q: search.q });
  const used = useUsedColumn<Team>('team', admin);
  const columns = useMemo<ColumnDef<Team>[]>(
    () => [
      { id: 'name', header: t('name'), cell: ({ row }) => <bdi>{row.original.name}</bdi>, meta: { width: 'minmax(140px, 1.4fr)' } },
      { id: 'state', header: t('state'), cell: ({ row }) => <Badge color={row.original.enabled ? 'teal' : 'gray'}>{row.original.enabled ? t('common:enabled') : t('common:disabled')}</Badge>, meta: { width: '90px' } },
      { id: 'users', header: t('users'), cell: ({ row }) => format.number(row.original.users), meta: { width: '90px', align: 'right' } },
      { id: 'keys', header: t('keys'), cell: ({ row }) => format.number(row.original.keys), meta: { width: '90px', align: 'right', wide: true } },
      { id: 'models', header: t('common:rules.models'), cell: ({ row }) => row.original.models.join(', ') || t('common:rules.everything'), meta: { wide: true } },
      ...(admin ? [used] : []),
      { id: 'limits', header: t('common:rules.limits'), cell: ({ row }) => row.original.limits.map(words).join(', ') || '–', meta: { wide: true, width: 'minmax(160px, 2fr)' } },
    ],
    [t, format, words, used, admin],
  );
  const make = admin && (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setSearch({ new: '1' })}>
      {t('make')}
    </Button>
  );
  return (
    <>
      <PageHeader title={t('common:screens.teams')} about={t('about')}>
        {make}
      </PageHeader>
      <Group mb="sm" gap="xs">
        <SearchInput value={search.q} onSearch={(q) => setSearch({ q })} />
      </Group>
      <DataTable
        label={t('common:screens.teams')}
        list={list}
        columns={columns}
        id={(team) => team.id}
        onOpen={(team) => setSearch({ id: team.id })}
        empty={
          search.q !== '' ? (
            <Empty title={t('noneFound')} action={<Button variant="default" onClick={() => setSearch({ q: '' })}>{t('clear')}</Button>} />
          ) : (
            <Empty title={t('none')} action={make}>
              {t('noneText')}
            </Empty>
          )
        }
      />
      <Opened<Team>
        path="/admin/api/teams"
        rows={list.rows}
        isPending={list.isPending}
        search={search}
        setSearch={setSearch}
        look={(of, onEdit, onClose) => <TeamDrawer of={of} onEdit={onEdit} onClose={onClose} />}
        edit={(props) => <TeamEditor {...props} />}
      />
    </>
  );
}
