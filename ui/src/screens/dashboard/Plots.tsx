import { SimpleGrid, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { getJson } from '../../api/list';
import { Problem } from '../../api/problem';
import { useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { Plot, type PlotProps } from '../../widgets/Plot';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { pace, type RangeSearch, rangeOf } from '../../widgets/range';
import { Waiting } from '../../widgets/Waiting';
import { type Overview, plotsOf, timesOf } from './figures';
import { USUAL } from './spans';

interface Props {
  search: RangeSearch;
  onZoom: (from: number, to: number) => void;
  onReset?: () => void;
}

/** The chosen stretch of time, one plot for each question. */
export function Plots({ search, onZoom, onReset }: Props) {
  const { t } = useTranslation(['dashboard', 'common']);
  const format = useFormat();
  const { range, from, to } = search;
  const { data, error, isPending, isPlaceholderData, refetch } = useQuery({
    queryKey: ['get', '/admin/api/overview', { range, from, to }],
    queryFn: ({ signal }) => {
      const asked = rangeOf(search, USUAL);
      return getJson<Overview>('/admin/api/overview', { from: asked.from, to: asked.moving ? undefined : asked.to }, signal);
    },
    placeholderData: keepPreviousData,
    refetchInterval: pace(rangeOf(search, USUAL)),
  });
  const shown = useMemo(() => data && { times: timesOf(data), ...plotsOf(data, (key) => t(key as 'ok'), format) }, [data, t, format]);

  if (isPending) return <Waiting />;
  if (!data || !shown) return <ProblemAlert problem={error} onRetry={() => void refetch()} />;
  const money = (value: number | null) => (value === null ? format.money(null) : format.number(value, value !== 0 && Math.abs(value) < 1 ? 6 : 2));
  const duration = (value: number | null) => format.duration(value);
  const short = format.axis;
  const same = { order: 3, times: shown.times, group: 'dashboard', onZoom, onReset } satisfies Partial<PlotProps>;
  const errors = data.total.error_rate === null ? '' : ` · ${t('errorsOf', { rate: format.percent(data.total.error_rate) })}`;
  return (
    <>
      {error && <ProblemAlert problem={Problem.of(error)} onRetry={() => void refetch()} />}
      <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="md" style={{ opacity: isPlaceholderData ? 0.6 : 1 }} aria-busy={isPlaceholderData}>
        <Panel>
          <Plot {...same} title={t('requests')} kind="bars" series={shown.requests} write={(value) => format.number(value)} writeShort={short}>
            <Note>
              {format.number(data.total.requests)}
              {errors}
            </Note>
          </Plot>
        </Panel>
        <Panel>
          <Plot {...same} title={t('tokens')} kind="bars" series={shown.tokens} write={(value) => format.number(value)} writeShort={short}>
            <Note>{format.short(data.total.tokens)}</Note>
          </Plot>
        </Panel>
        <Panel>
          <Plot
            {...same}
            title={t('cost')}
            kind={shown.cost.length > 1 ? 'lines' : 'bars'}
            series={shown.cost}
            write={money}
            writeShort={short}
            nothing={data.total.unpriced ? t('noPrices') : t('noCost')}
          >
            {data.total.unpriced ? <Note>{t('unpriced', { count: data.total.unpriced })}</Note> : null}
          </Plot>
        </Panel>
        <Panel>
          <Plot {...same} title={t('latency')} series={shown.latency} write={duration} writeShort={duration} nothing={t(data.total.ok > 0 ? 'unknownTimes' : 'noLatency')} />
        </Panel>
        <Panel>
          <Plot {...same} title={t('firstToken')} series={shown.firstToken} write={duration} writeShort={duration} nothing={t(data.total.ok > 0 && data.total.latency_ms === null ? 'unknownTimes' : 'noFirstToken')} />
        </Panel>
        <Panel>
          <Plot
            {...same}
            title={t('cacheHitRate')}
            kind="areas"
            most={1}
            series={shown.cache}
            write={(value) => format.percent(value)}
            writeShort={(value) => format.percent(value, 0)}
          />
        </Panel>
      </SimpleGrid>
    </>
  );
}

function Note({ children }: { children: React.ReactNode }) {
  return (
    <Text span size="xs" c="dimmed">
      {children}
    </Text>
  );
}
