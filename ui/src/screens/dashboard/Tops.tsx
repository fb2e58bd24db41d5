import { Group, SegmentedControl, SimpleGrid, Skeleton, Stack, Text, Title, Tooltip } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { getJson } from '../../api/list';
import { useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { pace, periodOf, type RangeSearch, rangeOf } from '../../widgets/range';
import { useSearch } from '../../widgets/search';
import { USUAL } from './spans';
import { type Dimension, mainCurrency, type Measure, ranked } from './tops';
import classes from './Tops.module.css';

const MEASURES: Measure[] = ['cost', 'requests', 'tokens', 'failed'];

/** What one asks next of a row: who used this model, what this user asked for. */
const THEN: Record<Dimension, string> = { model: 'key', user: 'model', key: 'model', provider: 'model' };

/** What the filter of usage is called: `key` in an address there is what an API takes for a credential. */
const FILTER: Record<Dimension, string> = { model: 'model', user: 'user', key: 'of_key', provider: 'provider' };

/** Who and what used most in the chosen stretch of time. */
export function Tops({ search }: { search: RangeSearch }) {
  const { t } = useTranslation(['dashboard', 'common']);
  const [{ top }, setSearch] = useSearch({ top: 'cost' });
  const measure = MEASURES.find((one) => one === top) ?? 'cost';
  return (
    <section aria-label={t('tops.title')}>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{t('tops.title')}</Title>
        <SegmentedControl
          size="xs"
          aria-label={t('tops.by')}
          data={MEASURES.map((value) => ({ value, label: t(`tops.${value}`) }))}
          value={measure}
          onChange={(value) => setSearch({ top: value })}
        />
      </Group>
      <SimpleGrid cols={{ base: 1, sm: 2, xl: 4 }} spacing="md">
        {(['model', 'user', 'key', 'provider'] as const).map((by) => (
          <Top key={by} by={by} measure={measure} search={search} />
        ))}
      </SimpleGrid>
    </section>
  );
}

function Top({ by, measure, search }: { by: Dimension; measure: Measure; search: RangeSearch }) {
  const { t } = useTranslation(['dashboard', 'common']);
  const format = useFormat();
  const { range, from, to } = search;
  const { data, error, refetch } = useQuery({
    queryKey: ['get', '/admin/api/usage', 'top', by, measure, { range, from, to }],
    queryFn: ({ signal }) => {
      const asked = rangeOf(search, USUAL);
      const query = { by, sort: measure, limit: 6, period: periodOf(asked), from: asked.from, to: asked.moving ? undefined : asked.to };
      return getJson<Schemas['Usage']>('/admin/api/usage', query, signal);
    },
    placeholderData: keepPreviousData,
    refetchInterval: pace(rangeOf(search, USUAL)),
  });
  const rows = ranked(data?.rows ?? [], by, measure, mainCurrency(data?.rows ?? []));
  const write = (row: Schemas['UsageRow']) => (measure === 'cost' ? format.money(row.cost) : format.short(row[measure]));
  return (
    <Panel p="sm">
      <Title order={3} size="0.92rem" mb="xs" px={8}>
        {t(`tops.${by}`)}
      </Title>
      {!data && error ? (
        <ProblemAlert problem={error} onRetry={() => void refetch()} />
      ) : !data ? (
        <Stack gap={6}>
          {[80, 60, 40].map((width) => (
            <Skeleton key={width} height={18} width={`${width}%`} />
          ))}
        </Stack>
      ) : rows.length === 0 ? (
        <Text size="sm" c="dimmed" px={8}>
          {t('tops.none')}
        </Text>
      ) : (
        <ul className={classes.list}>
          {rows.map(({ id, name, share, row }) => (
            <li key={id ?? ''}>
              <Link to="/usage" search={{ by: THEN[by], ...(id && { [FILTER[by]]: id }), range, ...(from && { from, to }) } as never} className={classes.row}>
                <span className={classes.bar} style={{ width: `${share * 100}%` }} />
                <bdi className={classes.name}>{name ?? t(`tops.no.${by}`)}</bdi>
                <Tooltip label={t('unpriced', { count: row.unpriced })} disabled={measure !== 'cost' || row.unpriced === 0}>
                  <span className={classes.value}>
                    {write(row)}
                    {measure === 'cost' && row.unpriced > 0 && '*'}
                  </span>
                </Tooltip>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
