import { Alert, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Exchange } from './exchange';
import { Facts } from './Facts';

/** An error as the protocol told it, with its kind and what to do about it. */
export function Failure({ exchange, ready, onAgain }: { exchange: Exchange; ready: boolean; onAgain: () => void }) {
  const { t } = useTranslation(['playground', 'requests', 'common']);
  const { fault, problem, status, retryAfter, state } = exchange;
  if (state === 'stopped') {
    return (
      <Alert color="gray" variant="light" title={t('failure.stopped')}>
        <Group gap="sm">
          <Text size="sm">{t('failure.stoppedText')}</Text>
          <Again ready={ready} onAgain={onAgain} />
        </Group>
      </Alert>
    );
  }
  const kind = fault === 'offline' ? t('failure.offline') : fault ? t(`requests:outcomes.${fault}`, { defaultValue: fault }) : t('failure.title');
  const remedy = fault === 'offline' ? t('common:problems.offline') : fault ? t(`requests:remedies.${fault}`, { defaultValue: '' }) : '';
  return (
    <Alert color={status === 429 ? 'orange' : 'red'} variant="light" icon={<IconAlertTriangle />} role="alert" title={status && status >= 400 ? `${status} · ${kind}` : kind}>
      <Text size="sm">
        <bdi>{problem?.message}</bdi>
      </Text>
      {(problem?.type || problem?.code) && (
        <Text size="xs" c="dimmed" ff="monospace">
          {[problem.type, problem.code].filter(Boolean).join(' · ')}
        </Text>
      )}
      {remedy && <Text size="sm" mt={4}>{remedy}</Text>}
      {retryAfter && <Text size="sm" mt={4}>{t('failure.retryAfter', { value: retryAfter })}</Text>}
      <Group gap="sm" mt="xs">
        <Again ready={ready} onAgain={onAgain} />
        <Facts exchange={exchange} />
      </Group>
    </Alert>
  );
}

function Again({ ready, onAgain }: { ready: boolean; onAgain: () => void }) {
  const { t } = useTranslation(['playground', 'common']);
  return (
    <Button size="compact-sm" variant="default" disabled={!ready} onClick={onAgain}>
      {t('common:again')}
    </Button>
  );
}
