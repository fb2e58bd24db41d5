import { Button, Group, Stack, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useSession } from '../../app/session';
import { useTell } from '../../widgets/act';
import { csv, download, fileName } from '../../widgets/csv';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { PageHeader } from '../../widgets/PageHeader';
import { Panel } from '../../widgets/Panel';
import { Plot } from '../../widgets/Plot';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { isOwn, ownRange } from '../../widgets/range';
import { useSearch } from '../../widgets/search';
import { MOST_ROWS } from '../../widgets/usedColumn';
import { columns, wordOf } from './columns';
import { Controls, Pills, type Search } from './Controls';
import { startsOf } from './periods';
import { Summary } from './Summary';
import { currenciesOf, type Dimension, dimensionsOf, filtersOf, idOf, MEASURES, readBy, type Row, seriesOf, tableOf } from './sums';
import classes from './usage.module.css';
import { FILTERS, USUAL, useCredentialNames, useUsage } from './useUsage';

const SEARCH: Search = {
  range: USUAL, from: '', to: '', by: '', measure: 'cost', period: '', compare: '', currency: '',
  model: '', of_key: '', user: '', team: '', provider: '', credential: '',
};

/** What one asks next of a row: who used this model, what this user asked for. */
const NEXT: Record<Dimension, Dimension[]> = {
  model: ['user', 'key'], provider: ['model'], credential: ['model'], team: ['user'], user: ['model'], key: ['model'],
};

/** What was used, by whom and of what, and what it cost. */
export default function Usage() {
  const { t } = useTranslation(['usage', 'common']);
  const format = useFormat();
  const { role } = useSession();
  const [search, setSearch] = useSearch(SEARCH);
  const allowed = dimensionsOf(role);
  const by = useMemo(() => readBy(search.by, dimensionsOf(role)), [search.by, role]);
  const measure = MEASURES.find((one) => one === search.measure) ?? 'cost';
  const filters = Object.fromEntries(FILTERS.filter((name) => search[name] !== '').map((name) => [name, search[name]]));
  const compare = search.compare !== '';
  const found = useUsage({ search, filters, by, measure, compare });
  const credentials = useCredentialNames(role === 'admin' && (by.includes('credential') || search.credential !== ''));
  const currencies = currenciesOf(found.all.length > 0 ? found.all : found.rows);
  const currency = currencies.includes(search.currency) ? search.currency : (currencies[0] ?? '');

  const starts = useMemo(() => startsOf(found.range, found.period), [Math.floor(found.range.from / 1000), Math.floor(found.range.to / 60_000), found.period]);
  const label = (row: Row) => by.map((one) => wordOf(row, one, credentials) ?? t(`no.${one}`)).join(' · ');
  const series = useMemo(
    () => seriesOf(found.all, found.groups.map(({ row, rows }) => ({ label: label(row), rows })), starts, measure, currency, t('others')),
    [found.all, found.groups, starts, measure, currency, by, credentials, t],
  );
  const write = (value: number | null) => (value === null ? '–' : measure === 'cost' ? format.money({ [currency || 'USD']: String(value) }) : format.number(value));
  const shown = columns({ t: t as never, format, by, measure, currency, earlier: found.earlier, credentials, rest: { ...filters, range: search.range, ...(isOwn(search) && { from: search.from, to: search.to }) } });

  const open = (row: Row) => {
    const only = filtersOf(row, by);
    if (!only) return;
    const last = by.at(-1) as Dimension;
    const next = NEXT[last].find((one) => allowed.includes(one)) ?? 'model';
    setSearch({ ...only, by: next });
  };
  const tell = useTell();
  const cut = found.rows.length >= MOST_ROWS;
  const save = () => {
    const { head, rows } = tableOf(found.rows, by, found.earlier);
    download(fileName(`usage ${by.join(' ')}`), csv(head, rows));
    if (cut) tell.warn(t('cutFile', { count: MOST_ROWS }));
  };
  const marks = [found.rows.some((row) => row.unpriced > 0) && t('markUnpriced'), found.rows.some((row) => row.estimated > 0) && t('markEstimated')].filter(Boolean);

  return (
    <>
      <PageHeader title={t('common:screens.usage')} about={t(`about.${role}`)}>
        <Button size="xs" variant="default" leftSection={<IconDownload size={15} />} onClick={save} disabled={found.rows.length === 0 || found.old}>
          {t('export')}
        </Button>
      </PageHeader>
      <Controls search={search} onChange={setSearch} by={by} currencies={currencies} currency={currency} byDay={found.byDay} />
      <Pills search={search} onChange={setSearch} credentials={credentials} />
      <Stack gap="md">
        <ProblemAlert problem={found.error} onRetry={found.refetch} />
        <Stack gap="md" className={classes.part} aria-busy={found.old}>
          <Summary now={found.whole?.now} then={found.whole?.then} compare={compare} />
          {compare && (
            <Text size="xs" c="dimmed">
              {t('compared', { from: format.time(found.before.from), to: format.time(found.before.to) })} {found.runs && t(isOwn(search) ? 'runningOwn' : 'running')}
            </Text>
          )}
          <Panel>
            <Plot
              title={measure === 'cost' && currencies.length > 1 ? `${t(measure)} (${currency})` : t(measure)}
              kind="bars"
              height={240}
              times={starts}
              series={found.pending || found.drawing ? [] : series}
              write={write}
              writeShort={format.axis}
              onZoom={(from, to) => setSearch(ownRange(from, to))}
              onReset={isOwn(search) ? () => setSearch({ from: '', to: '' }) : undefined}
              nothing={found.pending || found.drawing ? t('common:waiting') : t('nothing')}
            />
            <Text size="xs" c="dimmed">
              {t('utc')}
            </Text>
          </Panel>
        </Stack>
        <DataTable
          label={t('common:screens.usage')}
          list={{ rows: found.rows, key: found.key, isOld: found.old, isPending: found.pending, error: found.rows.length === 0 ? found.error : null, refetch: found.refetch }}
          columns={shown}
          id={(row) => idOf(row, by)}
          onOpen={open}
          sortable
          height={560}
          empty={<Empty title={t('nothing')}>{t('nothingText')}</Empty>}
          footer={
            <Group gap="md">
              {[...marks, cut && t('cut', { count: MOST_ROWS })].filter(Boolean).map((text) => (
                <Text key={String(text)} size="xs" c="dimmed">
                  {text}
                </Text>
              ))}
            </Group>
          }
        />
      </Stack>
    </>
  );
}
