import { ActionIcon, Badge, Button, Drawer, Group, Switch, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconAlertTriangle, IconHelpHexagon, IconPlus } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useAll } from '../../api/list';
import { useAct } from '../../widgets/act';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { useHeld } from '../../widgets/useHeld';
import { sample } from './pattern';
import { EMPTY, inOrder, isFirst, keyOf, priorityOf, type Route, toOf, whenOf } from './route';
import { RouteEditor } from './RouteEditor';
import { REFRESHES } from './save';
import { WhenText } from './WhenText';

/** The rules that look at a request, in the order in which they are asked. */
export default function Screen() {
  const { t } = useTranslation(['routes', 'common']);
  const [search, setSearch] = useSearch({ q: '', open: '' });
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const list = useAll('/admin/api/routes', 'routes', {}, { refetchInterval: 15_000 });
  const turn = useAct(
    ({ route, on }: { route: Route; on: boolean }) => {
      const path = { params: { path: { id: keyOf(route) } } };
      return on ? api.POST('/admin/api/routes/{id}/enable', path) : api.POST('/admin/api/routes/{id}/disable', path);
    },
    { refreshes: REFRESHES },
  );
  const all = useMemo(() => inOrder(list.rows).map((route, at) => ({ route, order: route.index == null ? null : at + 1 })), [list.rows]);
  const rows = useMemo(() => {
    const q = search.q.trim().toLowerCase();
    return q === '' ? all : all.filter(({ route }) => JSON.stringify([route.name, whenOf(route), toOf(route)]).toLowerCase().includes(q));
  }, [all, search.q]);
  const { held: open, gone } = useHeld(search.open, all.find(({ route }) => search.open !== '' && [keyOf(route), String(route.index), route.name].includes(search.open))?.route);
  const shut = () => setSearch({ open: '' });

  const columns = useMemo<ColumnDef<(typeof all)[number], unknown>[]>(
    () => [
      {
        id: 'order',
        header: t('columns.order'),
        meta: { width: '86px' },
        cell: ({ row: { original } }) =>
          original.order === null ? (
            <Badge color={original.route.enabled === false ? 'gray' : 'red'} leftSection={original.route.enabled === false ? undefined : <IconAlertTriangle size={11} />}>
              {original.route.enabled === false ? t('common:disabled') : t('broken')}
            </Badge>
          ) : (
            <Group gap={6} wrap="nowrap">
              <Text size="sm" fw={600}>
                {original.order}
              </Text>
              {isFirst(original.route) && (
                <Tooltip label={t('firstHint')} multiline maw={280}>
                  <Badge color="grape" size="sm">
                    {t('first')}
                  </Badge>
                </Tooltip>
              )}
            </Group>
          ),
      },
      {
        id: 'when',
        header: t('columns.when'),
        meta: { width: 'minmax(200px, 5fr)' },
        cell: ({ row: { original } }) => (
          // Long conditions are cut, and do not widen the table.
          <div style={{ lineHeight: 1.25, whiteSpace: 'normal', width: 0, minWidth: '100%' }}>
            <Text size="sm" lineClamp={original.route.name || narrow ? 1 : 2}>
              <WhenText when={whenOf(original.route)} />
            </Text>
            <Text size="xs" c="dimmed" lineClamp={1}>
              {narrow && <bdi>→ {toOf(original.route)} </bdi>}
              {original.route.name && <bdi>{original.route.name}</bdi>}
            </Text>
          </div>
        ),
      },
      { id: 'to', header: t('columns.to'), meta: { width: 'minmax(120px, 2fr)', wide: true }, cell: ({ row: { original } }) => <Text size="sm" truncate w={0} miw="100%" component="bdi" display="block" title={toOf(original.route)}>→ {toOf(original.route)}</Text> },
      { id: 'priority', header: t('columns.priority'), meta: { width: '76px', align: 'right', wide: true }, cell: ({ row: { original } }) => priorityOf(original.route) },
      {
        id: 'mode',
        header: t('columns.mode'),
        meta: { width: '104px', wide: true },
        cell: ({ row: { original } }) => (
          <Text size="sm" c={original.route.mode ? undefined : 'dimmed'}>
            {original.route.mode ? t(`modes.${original.route.mode}`) : t('modes.usual')}
          </Text>
        ),
      },
      { id: 'keys', header: t('columns.keys'), meta: { width: '80px', wide: true }, cell: ({ row: { original } }) => <bdi>{original.route.keys?.join(', ') || '–'}</bdi> },
      { id: 'origin', header: t('columns.origin'), meta: { width: '142px', wide: true }, cell: ({ row: { original } }) => t(`common:origins.${original.route.origin}`) },
      {
        id: 'on',
        header: t('columns.on'),
        meta: { width: '64px', wide: true },
        cell: ({ row: { original: { route } } }) =>
          route.origin === 'database' ? (
            <Switch
              size="sm"
              checked={route.enabled !== false}
              onChange={(event) => turn.run({ route, on: event.currentTarget.checked })}
              aria-label={t('turn', { name: route.name ?? toOf(route) })}
            />
          ) : null,
      },
      {
        id: 'try',
        header: () => <VisuallyHidden>{t('common:screens.explain')}</VisuallyHidden>,
        meta: { width: '52px' },
        cell: ({ row: { original } }) => {
          const when = whenOf(original.route);
          return (
            <Tooltip label={t('try.do')}>
              <ActionIcon
                component={Link}
                to="/explain"
                search={{ model: sample(when.model, when.keywords, []), ...(when.protocol ? { protocol: when.protocol } : {}) } as never}
                variant="subtle"
                color="gray"
                aria-label={t('try.do')}
              >
                <IconHelpHexagon size={17} />
              </ActionIcon>
            </Tooltip>
          );
        },
      },
    ],
    [t, turn.run, narrow],
  );

  return (
    <>
      <PageHeader title={t('common:screens.routes')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setSearch({ open: 'new' })}>
          {t('make')}
        </Button>
      </PageHeader>
      <Group mb="sm">
        <SearchInput label={t('search')} value={search.q} onSearch={(q) => setSearch({ q })} w={{ base: '100%', xs: 300 }} />
      </Group>
      <DataTable
        label={t('common:screens.routes')}
        list={{ ...list, rows }}
        columns={columns}
        id={({ route }) => keyOf(route)}
        rowHeight={52}
        onOpen={({ route }) => setSearch({ open: keyOf(route) })}
        empty={
          search.q !== '' ? (
            <Empty title={t('nothing.title')}>{t('nothing.text')}</Empty>
          ) : (
            <Empty title={t('empty.title')} action={<Button onClick={() => setSearch({ open: 'new' })}>{t('make')}</Button>}>
              {t('empty.text')}
            </Empty>
          )
        }
        footer={
          <Text size="xs" c="dimmed">
            {t('orderHint')}
          </Text>
        }
      />
      <Drawer opened={open !== undefined || search.open === 'new'} onClose={shut} size="min(680px, 100%)" title={open ? (open.name ?? t('route', { to: toOf(open) })) : t('make')}>
        {open ? (
          <RouteEditor key={keyOf(open)} route={open} gone={gone} onDone={shut} reload={list.refetch} />
        ) : search.open === 'new' ? (
          <RouteEditor key="new" initial={EMPTY} onDone={shut} reload={list.refetch} />
        ) : null}
      </Drawer>
      <Drawer opened={search.open !== '' && search.open !== 'new' && !open && !list.isPending && !list.error} onClose={shut} title={t('common:notFound.entry')}>
        <Text size="sm">{t('common:problems.not_found')}</Text>
      </Drawer>
    </>
  );
}
