import { Badge, Button, Group } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import type { ColumnDef } from '@tanstack/react-table';
import { useEffect, useMemo, useState } from 'react';
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
import { PasswordDialog } from './PasswordDialog';
import type { User } from './user';
import { UserDrawer } from './UserDrawer';
import { UserEditor } from './UserEditor';

/** The people who sign in or have keys. */
export default function Users() {
  const { t } = useTranslation(['users', 'common', 'keys']);
  const format = useFormat();
  const words = useLimitWords();
  const [search, setSearch] = useSearch({ q: '', team: '', id: '', new: '' });
  const list = useList('/admin/api/users', 'users', { q: search.q, team: search.team });
  const admin = useMay()('admin');
  // Whoever was just made has no password: one is offered, by those who may set it.
  const [made, setMade] = useState<string | null>(null);
  // Whoever comes back to them later finds somebody who may have one.
  useEffect(() => setMade((made) => (made === search.id ? made : null)), [search.id]);
  const used = useUsedColumn<User>('user');
  const columns = useMemo<ColumnDef<User>[]>(
    () => [
      { id: 'name', header: t('name'), cell: ({ row }) => <bdi>{row.original.name}</bdi>, meta: { width: 'minmax(140px, 1.4fr)' } },
      { id: 'role', header: t('role'), cell: ({ row }) => <Badge color={row.original.role === 'admin' ? 'grape' : 'gray'}>{t(`common:roles.${row.original.role}`)}</Badge>, meta: { width: '130px' } },
      { id: 'team', header: t('team'), cell: ({ row }) => <bdi>{row.original.team?.name ?? '–'}</bdi> },
      { id: 'state', header: t('state'), cell: ({ row }) => <Badge color={row.original.enabled ? 'teal' : 'gray'}>{row.original.enabled ? t('common:enabled') : t('common:disabled')}</Badge>, meta: { width: '90px' } },
      { id: 'keys', header: t('keys'), cell: ({ row }) => format.number(row.original.keys), meta: { width: '80px', align: 'right', wide: true } },
      used,
      { id: 'limits', header: t('common:rules.limits'), cell: ({ row }) => row.original.limits.map(words).join(', ') || '–', meta: { wide: true, width: 'minmax(160px, 2fr)' } },
    ],
    [t, format, words, used],
  );
  const narrowed = search.q !== '' || search.team !== '';
  return (
    <>
      <PageHeader title={t('common:screens.users')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setSearch({ new: '1' })}>
          {t('make')}
        </Button>
      </PageHeader>
      <Group mb="sm" gap="xs">
        <SearchInput value={search.q} onSearch={(q) => setSearch({ q })} />
        {search.team && (
          <Button variant="default" size="compact-sm" onClick={() => setSearch({ team: '' })}>
            {t('showAll')}
          </Button>
        )}
      </Group>
      <DataTable
        label={t('common:screens.users')}
        list={list}
        columns={columns}
        id={(user) => user.id}
        onOpen={(user) => setSearch({ id: user.id })}
        empty={
          narrowed ? (
            <Empty title={t('noneFound')} action={<Button variant="default" onClick={() => setSearch({ q: '', team: '' })}>{t('clear')}</Button>} />
          ) : (
            <Empty title={t('none')} action={<Button onClick={() => setSearch({ new: '1' })}>{t('make')}</Button>}>
              {t('noneText')}
            </Empty>
          )
        }
      />
      <Opened<User>
        path="/admin/api/users"
        rows={list.rows}
        isPending={list.isPending}
        search={search}
        setSearch={setSearch}
        look={(of, onEdit, onClose) => (
          <>
            <UserDrawer of={of} onEdit={onEdit} onClose={onClose} />
            {admin && of.id === made && <PasswordDialog of={of} isNew onClose={() => setMade(null)} />}
          </>
        )}
        edit={(props) => <UserEditor {...props} onDone={(user) => (props.of || setMade(user.id), props.onDone(user))} />}
      />
    </>
  );
}
