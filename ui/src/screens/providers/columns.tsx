import { Anchor, Badge, Group, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { useFormat } from '../../widgets/format';
import { LastCheck, Standing } from './Marks';
import { RowMenu } from './RowMenu';

export type Provider = Schemas['Provider'];

/** What is told of each provider in the list. */
export function useColumns(onOpen: (name: string, tab?: string) => void, onDelete: (provider: Provider) => void): ColumnDef<Provider>[] {
  const { t } = useTranslation(['providers', 'common']);
  const format = useFormat();
  return useMemo(
    () => [
      {
        id: 'name',
        accessorKey: 'name',
        header: t('columns.name'),
        meta: { width: 'minmax(140px, 1.3fr)' },
        cell: ({ row: { original } }) => (
          <>
            <Group gap={4} wrap="nowrap">
              <Text size="sm" fw={600} truncate title={original.name} lh={1.25}>
                <bdi>{original.name}</bdi>
              </Text>
              {original.origin !== 'database' && (
                <Tooltip label={`${t('columns.origin')}: ${t(`common:origins.${original.origin}`)}`}>
                  <IconLock size={13} aria-label={t(`common:origins.${original.origin}`)} />
                </Tooltip>
              )}
            </Group>
            <Text size="xs" c="dimmed" truncate lh={1.25}>
              {original.protocol ? t(`common:protocols.${original.protocol}`, { defaultValue: original.protocol }) : '–'}
            </Text>
          </>
        ),
      },
      {
        id: 'state',
        accessorFn: (row) => (row.enabled ? (row.state ?? '') : 'disabled'),
        header: t('columns.state'),
        meta: { width: 'minmax(150px, 1fr)' },
        cell: ({ row: { original } }) => <Standing of={original} />,
      },
      {
        id: 'address',
        accessorKey: 'address',
        header: t('columns.address'),
        meta: { width: 'minmax(140px, 1.2fr)', wide: true },
        cell: ({ row: { original } }) => <span title={original.address ?? undefined}>{original.address ?? '–'}</span>,
      },
      {
        id: 'models',
        accessorFn: (row) => row.models?.length ?? 0,
        header: t('columns.models'),
        meta: { width: '76px', align: 'right', wide: true },
        cell: ({ row: { original } }) => (
          <Anchor component="button" size="sm" onClick={() => onOpen(original.name, 'models')} aria-label={`${format.number(original.models?.length ?? 0)} ${t('columns.models')}: ${original.name}`}>
            {format.number(original.models?.length ?? 0)}
          </Anchor>
        ),
      },
      {
        id: 'credentials',
        accessorFn: (row) => row.credentials ?? 0,
        header: t('columns.credentials'),
        meta: { width: '104px', align: 'right', wide: true },
        cell: ({ row: { original } }) => (
          <Anchor renderRoot={(props) => <Link to="/credentials" search={{ provider: original.name } as never} {...props} />} size="sm" aria-label={`${format.number(original.credentials)} ${t('columns.credentials')}: ${original.name}`}>
            {format.number(original.credentials)}
          </Anchor>
        ),
      },
      {
        id: 'in_flight',
        accessorFn: (row) => row.in_flight ?? 0,
        header: t('columns.inFlight'),
        meta: { width: '80px', align: 'right', wide: true },
        cell: ({ row: { original } }) => format.number(original.in_flight),
      },
      {
        id: 'resting',
        accessorFn: (row) => row.resting_models?.length ?? 0,
        header: t('columns.resting'),
        meta: { width: '84px', align: 'right', wide: true },
        cell: ({ row: { original } }) => {
          const resting = original.resting_models?.length ?? 0;
          return resting > 0 ? <Badge color="orange">{format.number(resting)}</Badge> : <Text size="sm" c="dimmed">–</Text>;
        },
      },
      {
        id: 'probe',
        accessorFn: (row) => row.probe?.last?.at ?? 0,
        header: t('columns.probe'),
        meta: { width: 'minmax(140px, 1fr)', wide: true },
        cell: ({ row: { original } }) => <LastCheck check={original.probe?.last} />,
      },
      {
        id: 'learned',
        accessorFn: (row) => row.learned?.length ?? 0,
        header: t('columns.learned'),
        meta: { width: '76px', align: 'right', wide: true },
        cell: ({ row: { original } }) => {
          const learned = original.learned?.length ?? 0;
          return learned > 0 ? (
            <Anchor component="button" size="sm" onClick={() => onOpen(original.name, 'learned')} aria-label={`${format.number(learned)} ${t('columns.learned')}: ${original.name}`}>
              {format.number(learned)}
            </Anchor>
          ) : (
            <Text size="sm" c="dimmed">–</Text>
          );
        },
      },
      {
        id: 'menu',
        header: () => <VisuallyHidden>{t('columns.actions')}</VisuallyHidden>,
        enableSorting: false,
        meta: { width: '48px' },
        cell: ({ row: { original } }) => <RowMenu provider={original} onOpen={onOpen} onDelete={onDelete} />,
      },
    ],
    [t, format, onOpen, onDelete],
  );
}
