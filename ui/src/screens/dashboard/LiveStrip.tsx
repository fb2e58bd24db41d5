import { Badge, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { getJson } from '../../api/list';
import type { Problem } from '../../api/problem';
import type { LiveState } from '../../api/stream';
import { useFormat } from '../../widgets/format';
import type { Overview } from './figures';
import { type Live, PAST, type Second, sums, tokensOf } from './live';
import classes from './Live.module.css';
import { Spark } from './Spark';

/** Percentiles cannot be summed up from those of seconds: the gateway tells those of the last minutes. */
function useRecent() {
  return useQuery({
    queryKey: ['get', '/admin/api/overview', 'recent'],
    queryFn: ({ signal }) => getJson<Overview>('/admin/api/overview', { from: Date.now() - PAST, step: 'minute' }, signal),
    refetchInterval: 10_000,
  });
}

/** The last five minutes, second by second. */
export function LiveStrip({ live, state, problem }: { live: Live; state: LiveState; problem?: Problem }) {
  const { t } = useTranslation(['dashboard', 'common']);
  const format = useFormat();
  const recent = useRecent().data?.total;
  const [now, past] = [sums(live, 10), sums(live, PAST / 1000)];
  const last = live.seconds.at(-1);
  const end = last?.time ?? 0;
  const points = (of: (second: Second) => number | null) => live.seconds.map((second) => ({ time: second.time, value: of(second) }));
  const perSecond = (count: number) => (now.seconds > 0 ? count / now.seconds : null);
  const pair = (percentiles: { p50: number; p95: number } | null | undefined) =>
    percentiles ? (
      <>
        {format.duration(percentiles.p50)}{' '}
        <Text span size="sm" c="dimmed">
          p95 {format.duration(percentiles.p95)}
        </Text>
      </>
    ) : (
      format.duration(null)
    );

  return (
    <section aria-label={t('live.title')}>
      <Group justify="space-between" mb={6} gap="xs">
        <Text size="sm" c="dimmed">
          {t('live.about')}
        </Text>
        <Group gap="xs" role="status">
          {state === 'lost' && last && (
            <Text size="xs" c="dimmed">
              {t('live.asOf', { time: format.clock(last.time) })}
            </Text>
          )}
          <Badge color={state === 'live' ? 'teal' : state === 'lost' ? 'red' : 'gray'} title={problem?.detail || undefined}>
            {t(`live.${state}`)}
          </Badge>
        </Group>
      </Group>
      <div className={`${classes.tiles} ${state === 'lost' ? classes.old : ''}`}>
        <Tile name={t('live.requests')} value={format.number(perSecond(now.requests), 1)} note={t('live.tenSeconds')}>
          <Spark points={points(({ requests }) => requests)} end={end} past={PAST} />
        </Tile>
        <Tile name={t('live.tokens')} value={format.short(perSecond(now.tokens))} note={t('live.tenSeconds')}>
          <Spark points={points(tokensOf)} end={end} past={PAST} />
        </Tile>
        <Tile name={t('cost')} value={format.money(past.cost)} note={recent?.unpriced ? t('live.unpriced') : t('live.fiveMinutes')}>
          <Spark points={points(({ cost }) => Object.values(cost).reduce((sum, text) => sum + Number(text), 0))} end={end} past={PAST} />
        </Tile>
        <Tile name={t('errorRate')} value={format.percent(past.errorRate)} note={t('live.errors', { count: past.failed })}>
          <Spark points={points(({ failed }) => failed)} end={end} past={PAST} bad />
        </Tile>
        <Tile name={t('live.inFlight')} value={format.number(last?.in_flight)} note={t('live.now')}>
          <Spark points={points(({ in_flight }) => in_flight)} end={end} past={PAST} />
        </Tile>
        <Tile name={t('live.latency')} value={pair(recent?.latency_ms)} note={t('live.fiveMinutes')}>
          <Spark points={points(({ latency_ms }) => latency_ms?.p50 ?? null)} end={end} past={PAST} />
        </Tile>
        <Tile name={t('live.firstToken')} value={pair(recent?.first_token_ms)} note={t('live.fiveMinutes')}>
          <Spark points={points(({ first_token_ms }) => first_token_ms?.p50 ?? null)} end={end} past={PAST} />
        </Tile>
        <Tile name={t('cacheHitRate')} value={format.percent(past.cacheHitRate)} note={t('live.fiveMinutes')}>
          <Spark points={points(({ cache_hit_rate }) => cache_hit_rate ?? null)} end={end} past={PAST} />
        </Tile>
      </div>
    </section>
  );
}

function Tile({ name, value, note, children }: { name: string; value: ReactNode; note: string; children: ReactNode }) {
  return (
    <div className={classes.tile}>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <div className={classes.value}>{value}</div>
      <Text size="xs" c="dimmed" truncate>
        {note}
      </Text>
      {children}
    </div>
  );
}
