import { Badge } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { Problem } from '../../api/problem';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { actionWords } from '../audit/audit';
import type { Token } from './tokens';

type TokenEvent = Schemas['TokenEvent'];

/** What was done about tokens, the newest first. */
export function Events({ tokens }: { tokens: readonly Token[] }) {
  const { t } = useTranslation(['tokens', 'common']);
  const { t: audit } = useTranslation('audit');
  const format = useFormat();
  const events = useQuery({
    queryKey: ['get', '/admin/api/tokens/events'],
    queryFn: async ({ signal }) => ((await api.GET('/admin/api/tokens/events', { params: { query: { limit: 500 } }, signal })).data?.data ?? []) as TokenEvent[],
    refetchInterval: 10_000,
  });
  const names = useMemo(() => new Map(tokens.map((token) => [token.id, token.email])), [tokens]);
  const columns = useMemo<ColumnDef<TokenEvent>[]>(
    () => [
      { id: 'at', header: t('events.at'), meta: { width: 'minmax(150px, 0.8fr)' }, cell: ({ row: { original } }) => format.time(original.created_at) },
      { id: 'action', header: t('events.action'), meta: { width: 'minmax(140px, 1fr)' }, cell: ({ row: { original } }) => actionWords(original.action, audit as never) },
      {
        id: 'result',
        header: t('events.result'),
        meta: { width: '96px' },
        cell: ({ row: { original } }) => <Badge color={original.result === 'success' ? 'teal' : 'red'}>{t(`events.${original.result}`)}</Badge>,
      },
      { id: 'token', header: t('events.token'), meta: { width: 'minmax(120px, 1fr)', wide: true }, cell: ({ row: { original } }) => <bdi>{original.token_id != null ? (names.get(original.token_id) ?? original.token_id) : '–'}</bdi> },
      { id: 'actor', header: t('events.actor'), meta: { width: 'minmax(90px, 0.7fr)', wide: true }, cell: ({ row: { original } }) => <bdi>{original.actor}</bdi> },
      { id: 'detail', header: t('events.detail'), meta: { width: 'minmax(150px, 1.6fr)', wide: true }, cell: ({ row: { original } }) => <bdi title={original.detail}>{original.detail}</bdi> },
    ],
    [t, audit, format, names],
  );
  return (
    <DataTable
      label={t('tabs.events')}
      list={{ rows: events.data ?? [], isPending: events.isPending, error: events.error && Problem.of(events.error), refetch: events.refetch }}
      columns={columns}
      id={(row) => String(row.id)}
      rowHeight={38}
      empty={<Empty title={t('events.none')}>{t('events.noneText')}</Empty>}
    />
  );
}
