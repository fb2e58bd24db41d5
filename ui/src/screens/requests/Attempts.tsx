import { Badge, Group, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import classes from './Attempts.module.css';
import { bars, type Row } from './figures';
import { Outcome } from './Outcome';
import { Called } from './Pick';

/** What was tried, over the time of the request: when each attempt ran, and when its first token came. */
export function Attempts({ row }: { row: Row }) {
  const { t } = useTranslation(['requests', 'common']);
  const format = useFormat();
  const { scale, bars: laid } = bars(row);
  if (row.attempts.length === 0) return <Text size="sm" c="dimmed">{t('attempts.noneText')}</Text>;
  const share = (part: number) => `${(part * 100).toFixed(3)}%`;
  return (
    <>
      <ol className={classes.list}>
        {row.attempts.map((attempt, at) => {
          const bar = laid[at];
          const good = attempt.outcome === 'answered';
          const begins = (bar?.start ?? 0) * scale;
          const words = t('attempts.bar', { start: format.duration(begins), took: format.duration(attempt.duration_ms), first: format.duration(attempt.first_token_ms) });
          return (
            <li key={attempt.n}>
              <Group gap="xs" mb={4} justify="space-between">
                <Group gap="xs">
                  <Text size="sm" fw={600}>
                    {attempt.n}. <bdi>{attempt.provider}/{attempt.model}</bdi>
                  </Text>
                  <Outcome status={attempt.status} outcome={attempt.outcome} />
                  <Badge color="gray" variant="outline" title={t(`states.${attempt.state}.about`)}>
                    {t(`states.${attempt.state}.name`)}
                  </Badge>
                  {attempt.ending !== 'complete' && attempt.ending !== 'failed' && (
                    <Badge color="gray" variant="outline">
                      {t(`endings.${attempt.ending}`)}
                    </Badge>
                  )}
                </Group>
                <Text size="xs" c="dimmed">
                  {words}
                </Text>
              </Group>
              {bar && (
                <div className={classes.track} role="img" aria-label={words} title={words}>
                  <div className={classes.bar} data-good={good || undefined} data-gone={attempt.outcome === 'client_gone' || undefined} style={{ left: share(bar.start), width: share(bar.width) }}>
                    {bar.first !== null && <div className={classes.wait} style={{ width: share(bar.first) }} />}
                  </div>
                </div>
              )}
              {attempt.credential && (
                <Text size="xs" c="dimmed" mt={2}>
                  {t('attempts.credential')}{' '}
                  <Link to="/credentials" search={{ open: attempt.credential } as never}>
                    <bdi>
                      <Called list="credentials" id={attempt.credential} />
                    </bdi>
                  </Link>
                </Text>
              )}
              {attempt.error && (
                <Text size="sm" mt={2}>
                  <bdi>{attempt.error}</bdi>
                </Text>
              )}
            </li>
          );
        })}
      </ol>
      <div className={classes.axis} aria-hidden>
        <Text size="xs" c="dimmed">0</Text>
        <Text size="xs" c="dimmed">{format.duration(scale / 2)}</Text>
        <Text size="xs" c="dimmed">{format.duration(scale)}</Text>
      </div>
      <Text size="xs" c="dimmed">{t('attempts.legend')}</Text>
    </>
  );
}
