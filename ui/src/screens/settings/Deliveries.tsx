import { Badge, Text } from '@mantine/core';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { useList } from '../../api/list';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';

type Row = Schemas['Notification'];

/** The last messages, since the gateway started. */
export function Deliveries() {
  const { t } = useTranslation(['settings', 'common']);
  const format = useFormat();
  const list = useList('/admin/api/notifications', 'notifications', {}, { refetchInterval: 10_000 });
  const columns = useMemo<ColumnDef<Row, unknown>[]>(
    () => [
      { id: 'at', header: t('deliveries.at'), meta: { width: '225px' }, cell: ({ row }) => format.time(row.original.at) },
      {
        id: 'outcome', header: t('deliveries.outcome'), meta: { width: '140px' },
        cell: ({ row: { original } }) => (
          <Badge color={original.outcome === 'delivered' ? 'teal' : 'red'} title={original.message ?? undefined}>
            {t(`outcomes.${original.outcome}`)} {original.status ?? ''}
          </Badge>
        ),
      },
      { id: 'webhook', header: t('deliveries.webhook'), meta: { width: 'minmax(90px, 0.5fr)' }, cell: ({ row }) => <bdi>{row.original.webhook}</bdi> },
      { id: 'event', header: t('deliveries.event'), meta: { width: 'minmax(150px, 0.7fr)', wide: true }, cell: ({ row }) => t(`events.${row.original.event.replace('.', '_')}`, { defaultValue: row.original.event }) },
      {
        id: 'text', header: t('deliveries.text'), meta: { width: 'minmax(240px, 2fr)', wide: true },
        cell: ({ row: { original } }) => <span title={[original.text, original.message].filter(Boolean).join('\n')}>{original.message ? `${original.text} — ${original.message}` : original.text}</span>,
      },
      { id: 'attempts', header: t('deliveries.attempts'), meta: { width: '90px', align: 'right', wide: true }, cell: ({ row }) => format.number(row.original.attempts) },
    ],
    [t, format],
  );
  return (
    <Panel title={t('deliveries.title')}>
      <DataTable
        label={t('deliveries.title')}
        list={list}
        columns={columns}
        id={(row) => `${row.id} ${row.webhook}`}
        height={320}
        empty={<Empty title={t('deliveries.none')}><Text inherit>{t('deliveries.noneText')}</Text></Empty>}
      />
    </Panel>
  );
}
