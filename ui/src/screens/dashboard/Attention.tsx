import { Alert, Anchor, Group, List, Text } from '@mantine/core';
import { IconAlertTriangle, IconKeyOff } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { useList } from '../../api/list';
import { StateBadge } from '../../widgets/StateBadge';

/** As many as are shown here; the rest stands on screens of its own. */
const FEW = 4;

/** What somebody has to look at: definitions that are not in force, and credentials that were refused or are used up. */
export function Attention() {
  const { t } = useTranslation(['dashboard', 'common']);
  const every = { refetchInterval: 15_000 };
  const problems = useList('/admin/api/problems', 'problems', {}, { ...every, pageSize: 500 }).rows;
  const states = $api.useQuery('get', '/admin/api/credentials/statistics', {}, every).data?.states ?? {};
  const [invalid, exhausted] = [states['invalid'] ?? 0, states['exhausted'] ?? 0];
  const refused = useList('/admin/api/credentials', 'credentials', { state: 'invalid' }, { ...every, pageSize: FEW, enabled: invalid > 0 }).rows;
  const used = useList('/admin/api/credentials', 'credentials', { state: 'exhausted' }, { ...every, pageSize: FEW, enabled: exhausted > 0 }).rows;
  const hands = [...(invalid > 0 ? refused : []), ...(exhausted > 0 ? used : [])].slice(0, FEW);
  if (problems.length === 0 && hands.length === 0) return null;
  return (
    <>
      {problems.length > 0 && (
        <Alert color="orange" variant="light" icon={<IconAlertTriangle />} title={t('attention.problems', { count: problems.length })}>
          <List size="sm">
            {problems.slice(0, FEW).map((problem, at) => (
              <List.Item key={at}>
                {t(`attention.kinds.${problem.kind}`, { defaultValue: problem.kind })} <bdi>{problem.name}</bdi>: {problem.message}
                {problem.remedy && ` — ${problem.remedy}`}
              </List.Item>
            ))}
          </List>
          <Anchor component={Link} to="/settings" search={{ tab: 'problems' } as never} size="sm" underline="always">
            {t('attention.all')}
          </Anchor>
        </Alert>
      )}
      {hands.length > 0 && (
        <Alert color="red" variant="light" icon={<IconKeyOff />} title={t('attention.credentials', { count: invalid + exhausted })}>
          <List size="sm" spacing={4} listStyleType="none">
            {hands.map((credential) => (
              <List.Item key={credential.id}>
                <Group gap={6}>
                  <StateBadge state={credential.state} until={credential.until} />
                  <span>
                    <bdi>{credential.provider}</bdi> · <bdi>{credential.label}</bdi>
                  </span>
                  {credential.reason && (
                    <Text span size="xs" c="dimmed" lineClamp={1}>
                      {credential.reason}
                    </Text>
                  )}
                </Group>
              </List.Item>
            ))}
          </List>
          <Group gap="md" mt={4}>
            {(['invalid', 'exhausted'] as const).map((state) =>
              (states[state] ?? 0) > 0 ? (
                <Anchor key={state} component={Link} to="/credentials" search={{ state } as never} size="sm" underline="always">
                  {t(`attention.${state}`, { count: states[state] })}
                </Anchor>
              ) : null,
            )}
          </Group>
        </Alert>
      )}
    </>
  );
}
