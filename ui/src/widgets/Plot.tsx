import { ActionIcon, Group, Skeleton, Table, Text, Title, Tooltip, UnstyledButton, useComputedColorScheme } from '@mantine/core';
import { IconChartLine, IconDownload, IconTable, IconZoomReset } from '@tabler/icons-react';
import { type KeyboardEvent, lazy, type ReactNode, Suspense, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { patiently } from '../api/parts';
import { formatTagOf } from '../app/i18n';
import { csv, download, fileName } from './csv';
import { useFormat } from './format';
import { coloursOf, isKnown, type PlotKind, type PlotSeries, stepTo } from './plot';
import classes from './Plot.module.css';

const PlotCanvas = lazy(() => patiently(() => import('./PlotCanvas')));

export interface PlotProps {
  title: string;
  /** Of its title. */
  order?: 2 | 3;
  /** Beside the title, such as a switch of what is shown. */
  children?: ReactNode;
  /** Unix milliseconds, in order. */
  times: number[];
  series: PlotSeries[];
  kind?: PlotKind;
  /** A value as the legend and the table show it. */
  write: (value: number | null) => string;
  /** The same beside the axis, where there is little room. */
  writeShort?: (value: number) => string;
  /** The greatest value there can be, such as 1 for shares. */
  most?: number;
  height?: number;
  /** Plots of one group point at the same time. */
  group?: string;
  /** The reader chose a stretch by dragging. The screen is told, so that its range of time can follow. */
  onZoom?: (from: number, to: number) => void;
  /** Undoes that; only while something is chosen. */
  onReset?: () => void;
  /** Said where nothing is known. */
  nothing?: string;
}

/** Figures over time: drawn, or as a table, and as a file. */
export function Plot(props: PlotProps) {
  const { title, times, series, kind = 'lines', write, writeShort, most, height = 200, group, onZoom, onReset } = props;
  const { t, i18n } = useTranslation();
  const format = useFormat();
  const scheme = useComputedColorScheme('light');
  const [at, setAt] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [asTable, setAsTable] = useState(false);

  const all = useMemo(() => coloursOf(series, scheme), [series, scheme]);
  const shown = useMemo(() => series.flatMap((one, at) => (hidden.has(one.label) ? [] : [{ ...one, colour: all[at] as string }])), [series, all, hidden]);
  const columns = useMemo(() => shown.map(({ values }) => values), [shown]);
  const colours = useMemo(() => shown.map(({ colour }) => colour), [shown]);
  const pointed = at !== null && at < times.length ? at : null;

  const toggle = (label: string) =>
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(label)) after.add(label);
      return after;
    });
  const save = () => {
    const rows = times.map((time, row) => [new Date(time).toISOString(), ...columns.map((column) => column[row])]);
    download(fileName(title), csv([t('plot.time'), ...shown.map(({ label }) => label)], rows));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') setAt(null);
    const next = stepTo(event.key, at, times.length);
    if (next === null) return;
    event.preventDefault();
    setAt(next);
  };

  return (
    <section aria-label={title}>
      <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
        <Group gap="xs">
          <Title order={props.order ?? 2} size="0.92rem">
            {title}
          </Title>
          {props.children}
        </Group>
        <Group gap={2} wrap="nowrap">
          {onReset && <Tool label={t('plot.reset')} icon={<IconZoomReset size={16} />} onClick={onReset} />}
          <Tool
            label={t(asTable ? 'plot.drawn' : 'plot.table')}
            icon={asTable ? <IconChartLine size={16} /> : <IconTable size={16} />}
            onClick={() => setAsTable(!asTable)}
          />
          <Tool label={t('plot.csv')} icon={<IconDownload size={16} />} onClick={save} />
        </Group>
      </Group>
      <div className={classes.legend}>
        {series.map((one, index) => (
          <UnstyledButton key={one.label} className={classes.entry} aria-pressed={!hidden.has(one.label)} onClick={() => toggle(one.label)}>
            <span className={classes.mark} style={{ background: all[index] }} />
            <bdi>{one.label}</bdi>
            <span className={classes.value}>{pointed === null ? one.total : write(one.values[pointed] ?? null)}</span>
          </UnstyledButton>
        ))}
        <Text span size="xs" c="dimmed" ml="auto" aria-live="polite">
          {pointed !== null && format.time(times[pointed])}
        </Text>
      </div>
      {asTable ? (
        <PlotTable height={height} label={title} times={times} shown={shown} write={write} />
      ) : (
        <div className={classes.drawing} tabIndex={0} role="group" aria-label={t('plot.keys', { title })} onKeyDown={onKeyDown} onBlur={() => setAt(null)}>
          <Suspense fallback={<Skeleton height={height} />}>
            <PlotCanvas
              {...{ times, columns, colours, kind, scheme, height, most, group, at: pointed, onPoint: setAt, onZoom }}
              tag={formatTagOf(i18n.language, navigator.languages)}
              write={writeShort ?? write}
            />
          </Suspense>
          {!isKnown(shown) && <div className={classes.nothing}>{props.nothing ?? t('plot.nothing')}</div>}
        </div>
      )}
    </section>
  );
}

function Tool({ label, icon, onClick }: { label: string; icon: ReactNode; onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon size={24} variant="subtle" color="gray" aria-label={label} onClick={onClick}>
        {icon}
      </ActionIcon>
    </Tooltip>
  );
}

/** Rows of a table that are drawn at once. */
const ROWS = 1000;

/** The same figures for those who read rather than look, the newest first. */
function PlotTable({ height, label, times, shown, write }: { height: number; label: string; times: number[]; shown: PlotSeries[]; write: PlotProps['write'] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const rows = times.map((time, at) => ({ time, at })).reverse().slice(0, ROWS);
  return (
    <div className={classes.table} style={{ height }} tabIndex={0} role="group" aria-label={label}>
      <Table verticalSpacing={3}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('plot.time')}</Table.Th>
            {shown.map((one) => (
              <Table.Th key={one.label} ta="right">
                <bdi>{one.label}</bdi>
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ time, at }) => (
            <Table.Tr key={time}>
              <Table.Td>{format.time(time)}</Table.Td>
              {shown.map((one) => (
                <Table.Td key={one.label} ta="right">
                  {write(one.values[at] ?? null)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}
