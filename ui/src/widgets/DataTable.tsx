import { Button, Checkbox, Group, Loader, Skeleton, Text, UnstyledButton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { type ColumnDef, flexRender, getCoreRowModel, getSortedRowModel, type Row as TableRow, type RowSelectionState, type SortingState, useReactTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../api/problem';
import classes from './DataTable.module.css';
import { useNow } from './format';
import { ProblemAlert } from './ProblemAlert';
import { useProblemWords } from './problemWords';

declare module '@tanstack/react-table' {
  interface ColumnMeta<TData, TValue> {
    /** Width as a track of a CSS grid; `minmax(120px, 1fr)` where nothing is said. */
    width?: string;
    align?: 'left' | 'right';
    /** Left out on narrow screens. */
    wide?: boolean;
  }
}

/** A list as `useList` gives it; `hasMore` and what follows may be missing where all rows are there. */
interface Source<Row> {
  rows: Row[];
  /** Another one for another list, such as that of another filter: it begins at the top. */
  key?: string;
  error?: Problem | null;
  isPending?: boolean;
  hasMore?: boolean;
  loadingMore?: boolean;
  loadMore?: () => void;
  moreFailed?: boolean;
  isLong?: boolean;
  isOld?: boolean;
  refetch?: () => unknown;
}

interface Props<Row> {
  /** What the table holds, for readers of the screen. */
  label: string;
  list: Source<Row>;
  columns: ColumnDef<Row, any>[];
  id: (row: Row) => string;
  /** What is shown where there are no rows. */
  empty: ReactNode;
  /** A row was clicked, or Enter pressed on it. */
  onOpen?: (row: Row) => void;
  selection?: RowSelectionState;
  onSelection?: (selection: RowSelectionState) => void;
  /** Sorts what is loaded, by a click on the head. Only for lists that are there as a whole. */
  sortable?: boolean;
  /** Pixels of a row; rows are all equally high, so that a hundred thousand scroll smoothly. */
  rowHeight?: number;
  /** Pixels of the whole; otherwise what is left of the window. */
  height?: number | string;
  /** How rows are marked: `fresh` ones have just come, `current` is the one that is open beside the list. */
  mark?: (row: Row) => 'fresh' | 'current' | undefined;
  /** Told when the reader scrolls away from the top, and when they are back. */
  onAway?: (away: boolean) => void;
  /** What a row is called, where rows can be chosen. */
  name?: (row: Row) => string;
  /** Says what else stands under the table, such as how many there are. */
  footer?: ReactNode;
}

interface LineProps<Row> {
  row: TableRow<Row>;
  /** Nothing else tells that its cells have become others. */
  columns: ColumnDef<Row, any>[];
  index: number;
  start: number;
  height: number;
  template: string;
  selectable: boolean;
  selected: boolean;
  name?: string;
  isOld?: boolean;
  mark?: 'fresh' | 'current';
  /** Another number as time goes by: cells tell how long ago something was. */
  now: number;
  onOpen?: (row: Row) => void;
}

/** One row. Whoever scrolls draws those that come into sight, and not once more those that were there. */
const Line = memo(function Line<Row>({ row, index, start, height, template, selectable, selected, name, isOld, mark, onOpen }: LineProps<Row>) {
  const { t } = useTranslation();
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={classes.row}
      data-open={onOpen ? true : undefined}
      data-selected={selected || undefined}
      data-mark={mark}
      tabIndex={onOpen ? 0 : undefined}
      style={{ gridTemplateColumns: template, height, position: 'absolute', top: 0, left: 0, right: 0, transform: `translateY(${start}px)` }}
      onClick={onOpen && ((event) => !isControl(event.target) && onOpen(row.original))}
      onKeyDown={onOpen && ((event) => event.key === 'Enter' && event.target === event.currentTarget && onOpen(row.original))}
    >
      {selectable && (
        <div role="cell" className={classes.cell}>
          <Checkbox size="xs" aria-label={name === undefined ? t('table.select') : t('table.selectNamed', { name })} disabled={isOld} checked={selected} onChange={row.getToggleSelectedHandler()} />
        </div>
      )}
      {row.getVisibleCells().map((cell) => (
        <div role="cell" key={cell.id} className={classes.cell} data-align={cell.column.columnDef.meta?.align}>
          {flexRender(cell.column.columnDef.cell, cell.getContext())}
        </div>
      ))}
    </div>
  );
}) as <Row>(props: LineProps<Row>) => ReactNode;

/** Rows that are only drawn where they are seen, and fetched as the reader scrolls. */
export function DataTable<Row>(props: Props<Row>) {
  const { label, list, id, onOpen, rowHeight = 44, selection, onSelection } = props;
  const { t } = useTranslation();
  const words = useProblemWords();
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const scroller = useRef<HTMLDivElement>(null);
  const now = useNow(10_000);
  const [sorting, setSorting] = useState<SortingState>([]);
  const columns = useMemo(
    () => props.columns.filter((column) => !narrow || !column.meta?.wide),
    [props.columns, narrow],
  );
  const table = useReactTable({
    data: list.rows,
    columns,
    getRowId: id,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    enableSorting: props.sortable ?? false,
    state: { sorting, rowSelection: selection ?? {} },
    onSortingChange: setSorting,
    onRowSelectionChange: (next) => onSelection?.(typeof next === 'function' ? next(selection ?? {}) : next),
    // Rows that are going away are not chosen.
    enableRowSelection: selection !== undefined && !list.isOld,
  });
  const rows = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => rowHeight, overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const away = useRef(false);
  const onScroll = () => {
    const now = (scroller.current?.scrollTop ?? 0) > rowHeight / 2;
    if (now !== away.current) props.onAway?.(now);
    away.current = now;
  };
  const { hasMore, loadMore, moreFailed } = list;
  useEffect(() => {
    // What failed is asked for again by the reader: as long as it fails this would be without end.
    if (hasMore && !moreFailed && last >= rows.length - 20) loadMore?.();
  }, [hasMore, moreFailed, last, rows.length, loadMore]);

  const place = `${list.key} ${JSON.stringify(sorting)}`;
  const placeBefore = useRef(place);
  useEffect(() => {
    if (placeBefore.current !== place) scroller.current?.scrollTo({ top: 0 });
    placeBefore.current = place;
  }, [place]);
  const refresh = () => {
    scroller.current?.scrollTo({ top: 0 });
    void list.refetch?.();
  };
  const template = [selection ? '40px' : '', ...columns.map((column) => column.meta?.width ?? 'minmax(120px, 1fr)')].join(' ');
  const rest = list.isPending ? (
    <div role="status" aria-label={t('waiting')}>
      {[0, 1, 2, 3, 4, 5].map((at) => (
        <Skeleton key={at} height={20} m={12} width={`${90 - at * 8}%`} />
      ))}
    </div>
  ) : list.error && rows.length === 0 ? (
    <div style={{ padding: 12 }}>
      <ProblemAlert problem={list.error} onRetry={list.refetch && (() => void list.refetch?.())} />
    </div>
  ) : rows.length === 0 && !hasMore ? (
    props.empty
  ) : null;

  return (
    <div className={classes.frame}>
      <div ref={scroller} onScroll={props.onAway && onScroll} className={classes.scroller} style={{ maxHeight: props.height ?? 'calc(100dvh - 260px)' }} tabIndex={0} role="region" aria-label={label}>
        <div role="table" aria-label={label} aria-rowcount={hasMore ? -1 : rows.length + 1} className={classes.table}>
          <div role="rowgroup" className={classes.head}>
            {table.getHeaderGroups().map((group) => (
              <div role="row" key={group.id} className={classes.row} style={{ gridTemplateColumns: template }}>
                {selection && (
                  <div role="columnheader" className={classes.cell}>
                    <Checkbox
                      size="xs"
                      aria-label={t('table.selectAll')}
                      disabled={list.isOld}
                      checked={table.getIsAllRowsSelected() && rows.length > 0}
                      indeterminate={table.getIsSomeRowsSelected()}
                      onChange={table.getToggleAllRowsSelectedHandler()}
                    />
                  </div>
                )}
                {group.headers.map((header) => {
                  const sorted = header.column.getIsSorted();
                  const head = flexRender(header.column.columnDef.header, header.getContext());
                  return (
                    <div
                      role="columnheader"
                      key={header.id}
                      className={classes.cell}
                      data-align={header.column.columnDef.meta?.align}
                      aria-sort={sorted ? (sorted === 'asc' ? 'ascending' : 'descending') : undefined}
                    >
                      {header.column.getCanSort() ? (
                        <UnstyledButton className={classes.sort} onClick={header.column.getToggleSortingHandler()}>
                          {head}
                          {sorted === 'asc' ? <IconArrowUp size={13} /> : sorted === 'desc' ? <IconArrowDown size={13} /> : null}
                        </UnstyledButton>
                      ) : (
                        head
                      )}
                    </div>
                  );
                })}
              </div>
            ))}
          </div>
          <div role="rowgroup" data-old={list.isOld || undefined} className={classes.body} style={{ height: virtual.getTotalSize() }}>
            {items.map((item) => {
              const row = rows[item.index];
              if (!row) return null;
              return (
                <Line
                  key={row.id}
                  row={row}
                  columns={columns}
                  index={item.index}
                  start={item.start}
                  height={rowHeight}
                  template={template}
                  selectable={selection !== undefined}
                  selected={row.getIsSelected()}
                  name={selection && props.name?.(row.original)}
                  isOld={list.isOld}
                  mark={props.mark?.(row.original)}
                  now={now}
                  onOpen={onOpen}
                />
              );
            })}
          </div>
        </div>
        {rest}
      </div>
      <Group justify="space-between" className={classes.foot} px="sm" py={6}>
        <Group gap="xs">
          <Text size="xs" c="dimmed" role="status">
            {rows.length > 0 && (hasMore ? t('table.more', { count: rows.length }) : t('table.all', { count: rows.length }))}
            {rows.length > 0 && list.error && ` · ${words(list.error).title}: ${moreFailed ? t('table.moreFailed') : t('table.stale')}`}
            {list.isLong && !list.error && ` · ${t('table.long')}`}
          </Text>
          {rows.length > 0 && (list.error || list.isLong) && (
            <Button size="compact-xs" variant="default" loading={list.loadingMore} onClick={moreFailed ? loadMore : refresh}>
              {list.error ? t('again') : t('refresh')}
            </Button>
          )}
        </Group>
        {list.loadingMore ? <Loader size={14} /> : props.footer}
      </Group>
    </div>
  );
}

/** Clicks on buttons and links within a row are theirs. */
function isControl(target: EventTarget): boolean {
  return target instanceof Element && target.closest('button, a, input, label, [role=menuitem], [role=switch]') !== null;
}
