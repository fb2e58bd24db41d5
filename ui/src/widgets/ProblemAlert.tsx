import { Alert, Button, Group, List, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { Problem } from '../api/problem';
import { useProblemWords } from './problemWords';

interface Props {
  problem: Problem | Error | null | undefined;
  /** Asks again. */
  onRetry?: () => void;
}

/** Why something did not work, and what to do about it, in the reader's language; then what the gateway says in its own words. */
export function ProblemAlert({ problem: error, onRetry }: Props) {
  const { t } = useTranslation();
  const words = useProblemWords();
  if (!error) return null;
  const problem = Problem.of(error);
  const { title, remedy } = words(problem);
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle />} role="alert" title={title}>
      {remedy && <Text size="sm">{remedy}</Text>}
      {problem.detail && <Text size="sm">{problem.detail}</Text>}
      {problem.errors.length > 0 && (
        <List size="sm" mt={4}>
          {problem.errors.slice(0, 20).map((entry, at) => (
            <List.Item key={at}>
              {(entry.pointer ?? entry.parameter ?? entry.header) && <code>{entry.pointer ?? entry.parameter ?? entry.header} </code>}
              {entry.detail}
              {entry.name && <bdi> ({entry.name})</bdi>}
              {entry.remedy && <> — {entry.remedy}</>}
            </List.Item>
          ))}
        </List>
      )}
      <Group mt="xs" gap="sm">
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            {t('again')}
          </Button>
        )}
        {problem.instance && (
          <Text size="xs" c="dimmed">
            {t('requestId')} <code>{problem.instance}</code>
          </Text>
        )}
      </Group>
    </Alert>
  );
}
