import { Badge, Group, Text, Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Problem } from '../../api/problem';
import { useStatus } from '../session';
import classes from './Shell.module.css';

/** Whether the gateway answers, how much it has to do, and what it could not put in force. */
export function Health() {
  const { t } = useTranslation();
  const { data, error, isPending } = useStatus();
  if (isPending) return null;
  const lost = error !== null && Problem.of(error).code === 'offline';
  const word = lost ? 'lost' : data?.draining ? 'draining' : 'fine';
  const colour = lost ? 'red' : data?.draining ? 'orange' : 'teal';
  return (
    <Group gap="xs" wrap="nowrap" role="status">
      <Tooltip label={data ? `${data.version} · ${data.address ?? ''}` : t('shell.health.lost')}>
        <Group gap={6} wrap="nowrap">
          <span className={classes.dot} style={{ background: `var(--mantine-color-${colour}-6)` }} />
          <Text size="xs" c="dimmed" visibleFrom="xs">
            {t(`shell.health.${word}`)}
          </Text>
        </Group>
      </Tooltip>
      {data && data.problems > 0 && (
        <Badge component={Link} to="/settings" search={{ tab: 'problems' } as never} color="orange" style={{ cursor: 'pointer' }}>
          {t('shell.problems', { count: data.problems })}
        </Badge>
      )}
    </Group>
  );
}
