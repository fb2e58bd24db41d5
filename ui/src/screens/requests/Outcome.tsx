import { Badge, Group, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { hasFailed } from './filters';

/** Status and outcome in words; what went wrong in the gateway's own on hovering. */
export function Outcome({ status, outcome, error, short }: { status: number | null | undefined; outcome: string; error?: string | null; short?: boolean }) {
  const { t } = useTranslation(['requests', 'common']);
  const colour = !hasFailed(outcome) ? (outcome === 'answered' ? 'teal' : 'gray') : status === 429 ? 'orange' : 'red';
  const words = t(`outcomes.${outcome}`, { defaultValue: outcome });
  // Where there is little room the number stands in the colour of the outcome, and what went wrong below it.
  if (short && status) {
    return (
      <div title={error ?? words} style={{ minWidth: 0 }}>
        <Badge color={colour} data-outcome={outcome}>
          {status}
        </Badge>
        {hasFailed(outcome) ? (
          <Text size="xs" c="dimmed" truncate lh={1.3}>
            {words}
          </Text>
        ) : (
          <VisuallyHidden>{words}</VisuallyHidden>
        )}
      </div>
    );
  }
  const badge = (
    <Badge color={colour} data-outcome={outcome} maw="100%">
      {status ? `${status} · ` : ''}
      {words}
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
