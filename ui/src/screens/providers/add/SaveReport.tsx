import { Alert, Button, Group, List, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../../../api/problem';
import { ProblemAlert } from '../../../widgets/ProblemAlert';
import type { useSave } from './useSave';

interface Props {
  save: ReturnType<typeof useSave>;
  provider: string;
  /** What else stands in the way. */
  problem: Problem | null;
  /** Goes on without the pools that could not be changed. */
  onSkip: () => void;
  /** Back to where the name is typed, where there is such a place. */
  onRename?: () => void;
}

/** Why it was not saved, or what of it was not. */
export function SaveReport({ save, provider, problem: other, onSkip, onRename }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const { made, left, taken, problem } = save.saved;
  if (taken.some((one) => one.list === 'providers')) {
    return (
      <Alert color="orange" icon={<IconAlertTriangle />} role="alert" title={t('taken.provider', { provider })}>
        <Text size="sm" mb="xs">
          {t('taken.providerText')}
        </Text>
        <Group gap="xs">
          <Button size="xs" variant="default" component={Link} to="/providers" search={{ open: provider } as never}>
            {t('taken.look')}
          </Button>
          {onRename && (
            <Button size="xs" variant="default" onClick={onRename}>
              {t('taken.rename')}
            </Button>
          )}
        </Group>
      </Alert>
    );
  }
  if (taken.length > 0) {
    return (
      <Alert color="orange" icon={<IconAlertTriangle />} role="alert" title={t('taken.pools', { pools: taken.map((one) => one.name).join(', ') })}>
        <Text size="sm">{t('taken.poolsText')}</Text>
      </Alert>
    );
  }
  if (problem || !made || left.length === 0) return <ProblemAlert problem={problem ?? other} />;
  return (
    <Alert color="orange" icon={<IconAlertTriangle />} role="alert" title={t('partly.title')}>
      <Text size="sm">{t('partly.made', { provider, count: made.created })}</Text>
      <List size="sm" my="xs">
        {left.map(({ extension, problem }) => (
          <List.Item key={extension.pool}>
            <bdi>{extension.pool}</bdi>: {t(`common:problems.${problem.code}`, { defaultValue: problem.detail || problem.title })}
          </List.Item>
        ))}
      </List>
      <Group gap="xs">
        <Button size="xs" variant="default" onClick={() => void save.goOn()} loading={save.pending}>
          {t('partly.again')}
        </Button>
        <Button size="xs" variant="subtle" onClick={onSkip}>
          {t('partly.without')}
        </Button>
      </Group>
    </Alert>
  );
}
