import { Alert, Badge, Group, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { CopyIcon } from '../../widgets/Copy';
import { useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { linesWrong } from './places';
import { Prose } from './Prose';
import classes from './Row.module.css';

export function useConfiguration() {
  return useQuery({
    queryKey: ['get', '/admin/api/configuration'],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/configuration', { signal })).data as Schemas['Configuration'],
    refetchInterval: 10_000,
  });
}

/** The configuration file as it is written, without its secrets. */
export function Configuration() {
  const { t } = useTranslation(['settings', 'common']);
  const format = useFormat();
  const { data, error, isPending, refetch } = useConfiguration();
  const lines = useMemo(() => data?.text?.replace(/\n$/, '').split('\n') ?? [], [data?.text]);
  const wrong = useMemo(() => linesWrong(data?.problems.map(({ place }) => place) ?? []), [data?.problems]);
  if (isPending) return <Waiting />;
  if (!data) return <ProblemAlert problem={error} onRetry={() => void refetch()} />;
  const owners = Object.entries(data.owners).filter(([, count]) => count > 0);
  return (
    <Stack gap="md">
      <Panel title={t('configuration.title')}>
        <Text size="sm" c="dimmed" mb="sm">
          {t('configuration.about')}
        </Text>
        <Group gap="xs" mb="sm">
          {owners.map(([owner, count]) => (
            <Badge key={owner} color="gray">
              {t(`owners.${owner}`)}: {format.number(count)}
            </Badge>
          ))}
        </Group>
        <Text size="sm">
          {data.path ? <bdi>{data.path}</bdi> : t('configuration.noFile')} · {t('configuration.read', { time: format.time(data.read_at) })}
        </Text>
        {data.path && (
          <Text size="sm" c="dimmed">
            {t('configuration.reload')}
          </Text>
        )}
      </Panel>
      {data.problems.length > 0 && (
        <Alert color="red" variant="light" icon={<IconAlertTriangle />} title={t('configuration.refused', { count: data.problems.length })}>
          <List size="sm">
            {data.problems.map((problem, at) => (
              <List.Item key={at}>
                <code>{problem.place}</code> {problem.path && <code>{problem.path}</code>}: <Prose text={problem.message} /> {problem.remedy && <>— <Prose text={problem.remedy} /></>}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
      {data.text !== null && data.text !== undefined ? (
        <div style={{ position: 'relative' }}>
          <pre className={classes.lines} tabIndex={0} aria-label={t('configuration.title')}>
            {lines.map((line, at) => (
              <code key={at} className={classes.line} data-wrong={wrong.has(at + 1) || undefined}>
                {line}
                {'\n'}
              </code>
            ))}
          </pre>
          <div style={{ position: 'absolute', top: 8, right: 16 }}>
            <CopyIcon text={data.text} />
          </div>
        </div>
      ) : (
        data.reason && <Alert variant="light" color="orange">{data.reason}</Alert>
      )}
    </Stack>
  );
}
