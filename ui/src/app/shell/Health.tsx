import { Badge, Group, Text, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Problem } from '../../api/problem';
import { setupQuery, useSession, useStatus } from '../session';
import { healthOf } from './reach';
import classes from './Shell.module.css';

const COLOURS = { fine: 'teal', draining: 'orange', ailing: 'red', lost: 'red' };

/** Whether the gateway answers, and for admins how much it has to do, and what it could not put in force. */
export function Health() {
  const { t } = useTranslation();
  const admin = useSession().role === 'admin';
  const status = useStatus(admin);
  const reached = useQuery({ ...setupQuery, enabled: !admin, refetchInterval: 15_000 });
  const { data } = status;
  const { error, isPending } = admin ? status : reached;
  if (isPending) return null;
  const health = healthOf(error && Problem.of(error), data?.draining ?? false);
  return (
    <Group gap="xs" wrap="nowrap" role="status">
      <Tooltip label={health === 'fine' && data ? `${data.version} · ${data.address ?? ''}` : t(`shell.health.${health}`)}>
        <Group gap={6} wrap="nowrap">
          <span className={classes.dot} style={{ background: `var(--mantine-color-${COLOURS[health]}-6)` }} />
          <Text size="xs" c="dimmed" visibleFrom={health === 'fine' ? 'xs' : undefined}>
            {t(`shell.health.${health}`)}
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
