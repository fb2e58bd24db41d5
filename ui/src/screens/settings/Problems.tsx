import { Alert, Anchor, Badge, Button, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useList } from '../../api/list';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { useConfiguration } from './Configuration';
import { placeOf } from './places';
import { Prose } from './Prose';

/** Everything that was declared and is not in force: why, and what to do. */
export function Problems() {
  const { t } = useTranslation(['settings', 'common']);
  const list = useList('/admin/api/problems', 'problems', {}, { refetchInterval: 10_000 });
  const configuration = useConfiguration().data?.problems ?? [];
  if (list.isPending) return <Waiting />;
  return (
    <Stack gap="sm">
      <ProblemAlert problem={list.error} onRetry={() => void list.refetch()} />
      {!list.error && list.rows.length === 0 && configuration.length === 0 && (
        <Alert color="teal" variant="light" icon={<IconCircleCheck />} title={t('problems.none')}>
          {t('problems.noneText')}
        </Alert>
      )}
      {configuration.map((problem, at) => (
        <Entry key={`c${at}`} kind={t('problems.kinds.file')} name={problem.place} path={problem.path} message={problem.message} remedy={problem.remedy}>
          <Anchor component={Link} to="/settings" search={{ tab: 'configuration' } as never} size="sm" underline="always">
            {t('problems.toFile')}
          </Anchor>
        </Entry>
      ))}
      {list.rows.map((problem, at) => {
        const place = placeOf(problem.kind, problem.id, problem.name);
        return (
          <Entry
            key={`${problem.id} ${at}`}
            kind={t(`problems.kinds.${problem.kind}`, { defaultValue: problem.kind })}
            name={problem.name}
            path={problem.path}
            message={problem.message}
            remedy={problem.remedy}
          >
            {place && (
              <Anchor component={Link} to={place.to} search={place.search as never} size="sm" underline="always">
                {t('problems.mend')}
              </Anchor>
            )}
          </Entry>
        );
      })}
      {list.hasMore && (
        <Button size="xs" variant="default" style={{ alignSelf: 'start' }} loading={list.loadingMore} onClick={list.loadMore}>
          {t('problems.more')}
        </Button>
      )}
    </Stack>
  );
}

interface EntryProps {
  kind: string;
  name: string;
  path: string;
  message: string;
  remedy: string;
  children: React.ReactNode;
}

function Entry({ kind, name, path, message, remedy, children }: EntryProps) {
  const { t } = useTranslation(['settings', 'common']);
  return (
    <Panel p="sm">
      <Group gap="xs">
        <Badge color="orange">{kind}</Badge>
        <Text fw={600} size="sm">
          <bdi>{name}</bdi>
        </Text>
        {path && <code>{path}</code>}
      </Group>
      <Text size="sm" mt={4}>
        <Prose text={message} />
      </Text>
      {remedy && (
        <Text size="sm" mt={4}>
          <b>{t('problems.remedy')}</b> <Prose text={remedy} />
        </Text>
      )}
      {children}
    </Panel>
  );
}
