import { Button, Group, Select, TextInput } from '@mantine/core';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { type Format, useFormat } from '../../widgets/format';
import { PageHeader } from '../../widgets/PageHeader';
import { rangeOf } from '../../widgets/range';
import { RangePicker } from '../../widgets/RangePicker';
import { useSearch } from '../../widgets/search';
import { useTyped } from '../../widgets/SearchInput';
import { ACTIONS, actionWords, type Entry, KINDS, objectName } from './audit';
import { ActorName, Result } from './Detail';
import { Opened } from './Opened';

const SEARCH = { range: 'all', from: '', to: '', actor: '', action: '', object_kind: '', object: '', id: '', at: '' };

/** What was done to the gateway, by whom. */
export default function Audit() {
  const { t } = useTranslation(['audit', 'common']);
  const format = useFormat();
  const [search, setSearch] = useSearch(SEARCH);
  const { range, from, to, actor, action, object_kind, object } = search;
  // Ends when it was last asked for: reading on must not begin anew with every second.
  const times = useMemo(() => {
    const found = rangeOf({ range, from, to }, 'all');
    return { since: Number.isFinite(found.from) ? found.from : undefined, until: found.moving ? undefined : found.to };
  }, [range, from, to]);
  const list = useList('/admin/api/audit', 'audit', { ...times, actor: actor.trim(), action, object_kind, object: object.trim() }, { refetchInterval: times.until ? false : 15_000 });
  const shown = useMemo(() => columns(t as never, format), [t, format]);
  const narrowed = [actor, action, object_kind, object].some((text) => text !== '') || range !== 'all' || from !== '';
  const actions = useMemo(() => [...new Set([...ACTIONS, ...(action ? [action] : [])])], [action]);
  const kinds = useMemo(() => [...new Set([...KINDS, ...(object_kind ? [object_kind] : [])])], [object_kind]);
  const clear = () => setSearch({ ...SEARCH, id: search.id, at: search.at });

  return (
    <>
      <PageHeader title={t('common:screens.audit')} about={t('about')} />
      <Group gap="sm" mb="md" align="flex-end">
        <Typed label={t('actor')} value={actor} onChange={(actor) => setSearch({ actor })} />
        <Select
          size="xs"
          w={210}
          label={t('what')}
          placeholder={t('common:all')}
          searchable
          clearable
          data={actions.map((value) => ({ value, label: actionWords(value, t as never) }))}
          value={action || null}
          onChange={(action) => setSearch({ action: action ?? '' })}
        />
        <Select
          size="xs"
          w={150}
          label={t('kind')}
          placeholder={t('common:all')}
          clearable
          data={kinds.map((value) => ({ value, label: t(`kinds.${value}`, { defaultValue: value }) }))}
          value={object_kind || null}
          onChange={(object_kind) => setSearch({ object_kind: object_kind ?? '' })}
        />
        <Typed label={t('objectIs')} value={object} onChange={(object) => setSearch({ object })} />
        <RangePicker spans={['24h', '7d', '30d', 'all']} usual="all" search={search} onChange={setSearch} />
        {narrowed && (
          <Button size="xs" variant="subtle" onClick={clear}>
            {t('clear')}
          </Button>
        )}
      </Group>
      <DataTable
        label={t('common:screens.audit')}
        list={list}
        columns={shown}
        id={(entry) => entry.id}
        onOpen={(entry) => setSearch({ id: entry.id, at: String(entry.at) })}
        mark={(entry) => (entry.id === search.id ? 'current' : undefined)}
        empty={
          narrowed ? (
            <Empty title={t('noneFits')} action={<Button variant="default" onClick={clear}>{t('clear')}</Button>} />
          ) : (
            <Empty title={t('none')}>{t('noneText')}</Empty>
          )
        }
      />
      <Opened id={search.id} at={search.at} listed={list.rows.find(({ id }) => id === search.id)} onClose={() => setSearch({ id: '', at: '' })} onFilter={(only) => setSearch({ ...only, id: '', at: '' })} />
    </>
  );
}

/** A filter by an exact name, asked for when the reader has stopped typing. */
function Typed({ label, value, onChange }: { label: string; value: string; onChange: (text: string) => void }) {
  return <TextInput size="xs" w={160} label={label} {...useTyped(value, onChange)} />;
}

function columns(t: (key: string, options?: Record<string, unknown>) => string, format: Format): ColumnDef<Entry, unknown>[] {
  return [
    { id: 'at', header: t('at'), meta: { width: '225px' }, cell: ({ row }) => <span title={format.ago(row.original.at)}>{format.time(row.original.at)}</span> },
    { id: 'actor', header: t('actor'), meta: { width: 'minmax(120px, 1fr)' }, cell: ({ row }) => <ActorName entry={row.original} /> },
    { id: 'action', header: t('what'), meta: { width: 'minmax(150px, 1.2fr)' }, cell: ({ row }) => actionWords(row.original.action, t as never) },
    {
      id: 'object', header: t('object'), meta: { width: 'minmax(140px, 1.4fr)', wide: true },
      cell: ({ row }) => {
        const name = objectName(row.original);
        return name && <bdi title={row.original.object ?? undefined}>{name}</bdi>;
      },
    },
    { id: 'result', header: t('result'), meta: { width: '145px' }, cell: ({ row }) => <Result entry={row.original} /> },
    { id: 'address', header: t('address'), meta: { width: '150px', wide: true }, cell: ({ row }) => row.original.address },
  ];
}
