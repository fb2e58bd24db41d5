import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../api/client';
import { getJson } from '../api/list';
import { useFormat } from './format';
import { monthOf } from './range';

/** As many rows of sums as the gateway tells at once. */
export const MOST_ROWS = 1000;

/** What each key, user or team of a list used this month: what it cost, and how many requests that were. */
export function useUsedColumn<Row extends { id: string }>(by: 'key' | 'user' | 'team', enabled = true): ColumnDef<Row> {
  const { t } = useTranslation();
  const format = useFormat();
  const { from } = monthOf(0);
  const { data } = useQuery({
    queryKey: ['get', '/admin/api/usage', 'month', by, from],
    queryFn: ({ signal }) => getJson<Schemas['Usage']>('/admin/api/usage', { by, from, sort: 'requests' }, signal),
    enabled,
    staleTime: 60_000,
  });
  return useMemo(() => {
    const rows = new Map(data?.rows.map((row) => [row[by], row]));
    // Of more than are told at once, those that are not among them used less than all that are.
    const none = data && data.rows.length < MOST_ROWS ? '–' : '';
    return {
      id: 'used',
      header: t('used.month'),
      meta: { width: '110px', align: 'right', wide: true },
      cell: ({ row: { original } }) => {
        const used = rows.get(original.id);
        if (!used) return none;
        return (
          <div>
            <Text size="sm" lh={1.25}>
              {format.money(used.cost)}
            </Text>
            <Text size="xs" c="dimmed" lh={1.25}>
              {t('used.count', { count: used.requests })}
            </Text>
          </div>
        );
      },
    };
  }, [data, by, t, format]);
}
