import { Alert, Text } from '@mantine/core';
import { IconCircleCheck, IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { Figures } from '../credentials/Figures';
import { COLOURS, STATUSES } from './tokens';
import type { useTokens } from './useTokens';

interface Props {
  pool: ReturnType<typeof useTokens>;
  status: string;
  onStatus: (status: string) => void;
}

/** How the pool fares as a whole: whether it can serve, how many are in which state, and how they are looked after. */
export function PoolStanding({ pool, status, onStatus }: Props) {
  const { t } = useTranslation(['tokens', 'common']);
  const format = useFormat();
  const ready = pool.readiness.data;
  const statistics = pool.statistics.data;
  const health = pool.health.data;
  return (
    <>
      {ready && ready.total_tokens > 0 && (
        <Alert
          mb="sm"
          p="xs"
          color={ready.ready ? 'teal' : 'red'}
          icon={ready.ready ? <IconCircleCheck /> : <IconAlertTriangle />}
          title={t(ready.ready ? 'ready.yes' : 'ready.no', { count: ready.available_tokens })}
          role="status"
        >
          {!ready.ready && (
            <Text size="sm">
              {ready.soonest_recovery_seconds != null ? t('ready.soonest', { left: format.duration(ready.soonest_recovery_seconds * 1000) }) : t('ready.noRecovery')}
            </Text>
          )}
          {health && (
            <Text size="xs">
              {health.running && health.interval_seconds
                ? t('health.timer', { every: format.duration(health.interval_seconds * 1000) })
                : t('health.noTimer')}
            </Text>
          )}
        </Alert>
      )}
      {statistics && (
        <Figures
          label={t('statistics')}
          figures={[
            { name: t('total'), value: format.number(statistics.total) },
            ...(health ? [{ name: t('health.healthy'), value: format.number(health.healthy_count) }, { name: t('health.unhealthy'), value: format.number(health.unhealthy_count) }] : []),
            ...STATUSES.map((name) => ({
              name: t(`statuses.${name}`),
              value: format.number(statistics.by_status[name] ?? 0),
              colour: COLOURS[name],
              picked: status === name,
              onPick: () => onStatus(status === name ? '' : name),
            })),
          ]}
        />
      )}
    </>
  );
}
