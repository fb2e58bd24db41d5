import { ActionIcon, Button, Text, Tooltip } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconRefresh } from '@tabler/icons-react';
import { useCallback, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { PageHeader } from '../../widgets/PageHeader';
import { isOwn } from '../../widgets/range';
import { useSearch } from '../../widgets/search';
import { columns } from './columns';
import { Detail } from './Detail';
import type { Row } from './figures';
import { canFollow, FILTERS, fits, type Search, SEARCH, toLiveQuery, toQuery } from './filters';
import { Filters } from './Filters';
import { joined, KEPT } from './live';
import { LiveBar } from './LiveBar';
import { useLive } from './useLive';
import { ExportMenu } from './ExportMenu';

/** Requests that have ended, and those that end while one looks. */
export default function Requests() {
  const { t } = useTranslation(['requests', 'common']);
  const format = useFormat();
  const [search, setSearch] = useSearch<Search>(SEARCH);
  // Ranges end when they were last asked for, so that reading on does not begin anew with every second.
  const [now, setNow] = useState(Date.now);
  const query = useMemo(() => toQuery(search, now), [search, now]);
  const list = useList('/admin/api/requests', 'requests', query);
  const following = search.live === 'on' && canFollow(search, now);
  const { refetch } = list;
  const refresh = useCallback(() => void refetch(), [refetch]);
  const live = useLive(following, toLiveQuery(search), JSON.stringify(query), (row) => fits(row, search.q), refresh);
  const rows = useMemo(() => joined(live.tail, list.rows, following ? KEPT : Infinity), [following, live.tail, list.rows]);
  // Rows do not move under the eyes of who reads further down: what comes waits until they are back.
  const waits = useRef(false);
  const onAway = (away: boolean) => {
    if (away && following && !live.tail.paused) {
      waits.current = true;
      live.pause();
    } else if (!away && waits.current) {
      waits.current = false;
      live.resume();
    }
  };
  // What the reader decides holds, wherever they scroll.
  const chosen = (act: () => void) => {
    waits.current = false;
    act();
  };
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const shown = useMemo(() => columns(t, format, narrow), [t, format, narrow]);
  const open = (id: string) => setSearch({ id });
  const narrowed = FILTERS.some((name) => search[name] !== '') || search.range !== 'all' || isOwn(search);

  return (
    <>
      <PageHeader title={t('common:screens.requests')} about={t('about')}>
        <LiveBar on={search.live === 'on'} possible={canFollow(search, now)} onToggle={(on) => setSearch({ live: on ? 'on' : '' })} live={{ ...live, pause: () => chosen(live.pause), resume: () => chosen(live.resume) }} />
        <ExportMenu query={query} />
        <Tooltip label={t('common:refresh')}>
          <ActionIcon variant="default" size={36} aria-label={t('common:refresh')} onClick={() => (setNow(Date.now()), refresh())} loading={list.isFetching && !list.loadingMore && !following}>
            <IconRefresh size={18} />
          </ActionIcon>
        </Tooltip>
      </PageHeader>
      <Filters search={search} rows={rows} onChange={(next) => (setNow(Date.now()), setSearch(next))} />
      <DataTable
        label={t('common:screens.requests')}
        list={{ ...list, rows, hasMore: !following && list.hasMore }}
        columns={shown}
        id={(row: Row) => row.id}
        rowHeight={52}
        onAway={onAway}
        onOpen={(row) => open(row.id)}
        mark={(row) => (row.id === search.id ? 'current' : live.isFresh(row) ? 'fresh' : undefined)}
        footer={following && <Text size="xs" c="dimmed">{t('live.newest')}</Text>}
        empty={
          narrowed ? (
            <Empty title={t('empty.narrowed')} action={<Button variant="default" onClick={() => setSearch({ ...SEARCH, live: search.live })}>{t('empty.widen')}</Button>}>
              {t('empty.narrowedText')}
            </Empty>
          ) : (
            <Empty title={t('empty.title')}>{t('empty.text')}</Empty>
          )
        }
      />
      <Detail id={search.id} rows={rows} hasMore={!following && list.hasMore} loadMore={list.loadMore} onOpen={open} onClose={() => setSearch({ id: '' })}
        onFilter={(next) => setSearch({ ...next, id: '' })} />
    </>
  );
}
