import { Badge, Group, Tooltip } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { hasFailed } from './filters';

/** Status and outcome in words; what went wrong in the gateway's own on hovering. */
export function Outcome({ status, outcome, error }: { status: number | null | undefined; outcome: string; error?: string | null }) {
  const { t } = useTranslation(['requests', 'common']);
  const colour = !hasFailed(outcome) ? (outcome === 'answered' ? 'teal' : 'gray') : status === 429 ? 'orange' : 'red';
  const badge = (
    <Badge color={colour} data-outcome={outcome} maw="100%">
      {status ? `${status} · ` : ''}
      {t(`outcomes.${outcome}`, { defaultValue: outcome })}
    </Badge>
  );
  return error ? (
    <Tooltip label={error} multiline maw={420}>
      <Group maw="100%" wrap="nowrap" display="inline-flex">
        {badge}
      </Group>
    </Tooltip>
  ) : (
    badge
  );
}
