import { Alert, Button, Group, Loader, Text } from '@mantine/core';
import { IconCircleCheck, IconClockPause, IconPlugConnectedX } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useFormat, useNow } from '../../../widgets/format';
import { ProblemAlert } from '../../../widgets/ProblemAlert';
import type { useTry } from './useTry';

/** How a real call goes: the seconds while it runs, what came of it, and what to do where nothing did. */
export function TryReport({ attempt, onRetry }: { attempt: ReturnType<typeof useTry>; onRetry?: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const format = useFormat();
  const { since, result, problem, given, cancel } = attempt;
  if (since !== undefined) return <Running since={since} onCancel={cancel} />;
  if (given) {
    return (
      <Alert color="gray" icon={<IconClockPause />} role="status" title={t('try.given')}>
        <Text size="sm">{t('try.givenText')}</Text>
      </Alert>
    );
  }
  if (problem) return <ProblemAlert problem={problem} onRetry={onRetry} />;
  if (!result) return null;
  if (result.outcome === 'answered') {
    return (
      <Alert color="teal" icon={<IconCircleCheck />} role="status" title={t('try.answered', { took: format.duration(result.took_ms) })}>
        <Text size="sm">
          {result.model != null ? (
            <>
              <bdi>{result.model}</bdi>: <bdi>{result.answer || t('try.noText')}</bdi>
            </>
          ) : (
            t('try.models', { count: result.models?.length ?? 0 })
          )}
        </Text>
      </Alert>
    );
  }
  return (
    <Alert
      color={result.outcome === 'refused' ? 'red' : 'orange'}
      icon={<IconPlugConnectedX />}
      role="alert"
      title={result.outcome === 'timeout' ? t('try.timeout', { took: format.duration(result.took_ms) }) : t(`try.${result.outcome}`)}
    >
      <Text size="sm">{t(`try.codes.${result.code ?? ''}`, { defaultValue: result.remedy || t(`try.remedy.${result.outcome}`) })}</Text>
      {result.message && (
        <Text size="sm" mt={4}>
          {t('try.said')}{' '}
          <bdi>
            {result.status ? `${result.status} ` : ''}
            {result.message}
          </bdi>
        </Text>
      )}
      {onRetry && (
        <Button size="xs" variant="default" mt="xs" onClick={onRetry}>
          {t('common:again')}
        </Button>
      )}
    </Alert>
  );
}

function Running({ since, onCancel }: { since: number; onCancel: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const seconds = Math.max(0, Math.floor((useNow(500) - since) / 1000));
  return (
    <Alert color="blue" icon={<Loader size={18} />} title={t('try.running')}>
      <Group justify="space-between">
        <Text size="sm">{t('try.seconds', { count: seconds })}</Text>
        <Button size="xs" variant="default" onClick={onCancel}>
          {t('common:cancel')}
        </Button>
      </Group>
    </Alert>
  );
}
