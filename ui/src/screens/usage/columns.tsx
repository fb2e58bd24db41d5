import { ActionIcon, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconListSearch } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';

import type { Format } from '../../widgets/format';
import { Change } from './Summary';
import { type Dimension, filtersOf, idOf, type Measure, nameOf, type Row, valueOf } from './sums';

interface Options {
  t: (key: string, options?: Record<string, unknown>) => string;
  format: Format;
  by: Dimension[];
  measure: Measure;
  currency: string;
  earlier?: Map<string, Row>;
  credentials: Map<string, string>;
  /** What the requests screen is asked for besides what the row is of. */
  rest: Record<string, string>;
}

/** A row's name in one dimension, as people read it. */
export function wordOf(row: Row, dimension: Dimension, credentials: Map<string, string>): string | null {
  return dimension === 'credential' && row.credential ? (credentials.get(row.credential) ?? row.credential) : nameOf(row, dimension);
}

export function columns({ t, format, by, measure, currency, earlier, credentials, rest }: Options): ColumnDef<Row, unknown>[] {
  const right = { align: 'right' as const, width: '110px' };
  const count = (name: 'input' | 'cache_read' | 'output', wide: boolean): ColumnDef<Row, unknown> => ({
    id: name, header: t(name), accessorFn: (row) => row[name], meta: { ...right, wide }, cell: ({ row }) => format.short(row.original[name]),
  });
  const named: ColumnDef<Row, unknown>[] = by.map((dimension) => ({
    id: dimension,
    header: t(`by.${dimension}`),
    accessorFn: (row) => wordOf(row, dimension, credentials) ?? '',
    meta: { width: 'minmax(140px, 1.6fr)' },
    cell: ({ row }) => {
      const word = wordOf(row.original, dimension, credentials);
      return word === null ? <Text span size="sm" c="dimmed">{t(`no.${dimension}`)}</Text> : <bdi title={word}>{word}</bdi>;
    },
  }));
  const changed: ColumnDef<Row, unknown>[] = earlier
    ? [{
        id: 'change',
        header: t('change'),
        accessorFn: (row) => valueOf(row, measure, currency) - valueOf(earlier.get(idOf(row, by)), measure, currency),
        meta: { align: 'right', width: '150px' },
        cell: ({ row }) => (
          <Change
            now={valueOf(row.original, measure, currency)}
            then={valueOf(earlier.get(idOf(row.original, by)), measure, currency)}
            write={(value) => (measure === 'cost' ? format.money({ [currency || 'USD']: String(value) }) : format.short(value))}
            format={format}
          />
        ),
      }]
    : [];
  return [
    ...named,
    {
      id: 'cost', header: t('cost'), accessorFn: (row) => valueOf(row, 'cost', currency), meta: { align: 'right', width: '120px' },
      cell: ({ row: { original } }) => (
        <Tooltip label={t('unpriced', { count: original.unpriced })} disabled={original.unpriced === 0}>
          <span>
            {format.money(original.cost)}
            {original.unpriced > 0 && '*'}
          </span>
        </Tooltip>
      ),
    },
    { id: 'requests', header: t('requests'), accessorFn: (row) => row.requests, meta: { ...right, width: '90px' }, cell: ({ row }) => format.number(row.original.requests) },
    {
      id: 'failed', header: t('failed'), accessorFn: (row) => row.failed, meta: { ...right, wide: true },
      cell: ({ row: { original } }) => (original.failed === 0 ? '0' : `${format.number(original.failed)} (${format.percent(original.failed / original.requests)})`),
    },
    {
      id: 'tokens', header: t('tokens'), accessorFn: (row) => row.tokens, meta: { ...right, width: '90px' },
      cell: ({ row: { original } }) => (
        <Tooltip label={t('estimated', { count: original.estimated })} disabled={original.estimated === 0}>
          <span>
            {original.estimated > 0 && '≈'}
            {format.short(original.tokens)}
          </span>
        </Tooltip>
      ),
    },
    count('input', true),
    count('cache_read', true),
    count('output', true),
    {
      id: 'duration', header: t('mean'), accessorFn: (row) => (row.requests > 0 ? row.duration_ms / row.requests : 0), meta: { ...right, wide: true },
      cell: ({ row: { original } }) => format.duration(original.requests > 0 ? original.duration_ms / original.requests : null),
    },
    ...changed,
    {
      id: 'go', header: () => <VisuallyHidden>{t('toRequests')}</VisuallyHidden>, enableSorting: false, meta: { width: '44px' },
      cell: ({ row: { original } }) => {
        const only = filtersOf(original, by);
        return only ? (
          <Tooltip label={t('toRequests')}>
            <ActionIcon component={Link} to="/requests" search={{ ...rest, ...only } as never} variant="subtle" color="gray" size="sm" aria-label={t('toRequests')}>
              <IconListSearch size={16} />
            </ActionIcon>
          </Tooltip>
        ) : null;
      },
    },
  ];
}
