import { Badge, Group, Text, Tooltip } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { useFormat } from '../../widgets/format';
import { StateBadge } from '../../widgets/StateBadge';

type Provider = Schemas['Provider'];
type Check = Schemas['Check'];

const OUTCOMES: Record<string, string> = { accepted: 'teal', refused: 'red', failed: 'orange', unclear: 'gray' };

/** The state of a provider or credential, and what keeps it from serving. */
export function Standing({ of }: { of: Pick<Provider, 'state' | 'until' | 'cause' | 'reason' | 'in_force' | 'enabled' | 'problems'> & { passed_over?: boolean | null; key_missing?: boolean | null } }) {
  const { t } = useTranslation(['providers', 'common']);
  const problems = of.problems ?? [];
  return (
    <Group gap={4} wrap="nowrap">
      {of.enabled && of.in_force === false ? (
        <Tooltip label={problems.map((problem) => [problem.message, problem.remedy].filter(Boolean).join('. ')).join('\n') || t('marks.notInForce')} multiline maw={420}>
          <Badge color="red">{t('marks.notInForce')}</Badge>
        </Tooltip>
      ) : of.key_missing && of.enabled ? (
        <Badge color="orange">{t('marks.keyMissing')}</Badge>
      ) : (
        <StateBadge state={of.enabled ? of.state : 'disabled'} until={of.until} reason={[of.cause, of.reason].filter(Boolean).join(': ') || null} />
      )}
      {of.passed_over && (
        <Tooltip label={t('marks.passedOverText')} multiline maw={320}>
          <Badge color="orange">{t('marks.passedOver')}</Badge>
        </Tooltip>
      )}
    </Group>
  );
}

/** The last health check. */
export function LastCheck({ check }: { check: Check | null | undefined }) {
  const { t } = useTranslation(['providers', 'common']);
  const format = useFormat();
  if (!check) return <Text size="sm" c="dimmed">–</Text>;
  const badge = (
    <Group gap={6} wrap="nowrap">
      <Badge color={OUTCOMES[check.outcome] ?? 'gray'}>{t(`outcomes.${check.outcome}`)}</Badge>
      <Text size="xs" c="dimmed" truncate>
        {format.ago(check.at)}
      </Text>
    </Group>
  );
  const words = [check.code, check.message].filter(Boolean).join(': ');
  return words ? (
    <Tooltip label={words} multiline maw={420}>
      {badge}
    </Tooltip>
  ) : (
    badge
  );
}
