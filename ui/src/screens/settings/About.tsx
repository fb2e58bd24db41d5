import { Anchor, Stack } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useStatus } from '../../app/session';
import { Facts } from '../../widgets/Facts';
import { useFormat, useNow } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';

/** The gateway as it runs. */
export function About() {
  const { t } = useTranslation(['settings', 'common']);
  const format = useFormat();
  const { data, error, isPending, refetch } = useStatus();
  const now = useNow(1000);
  if (isPending) return <Waiting />;
  if (!data) return <ProblemAlert problem={error} onRetry={() => void refetch()} />;
  return (
    <Stack gap="md">
      <ProblemAlert problem={error} onRetry={() => void refetch()} />
      <Panel title="Polyport">
        <Facts
          facts={[
            [t('running.version'), data.version],
            [t('running.address'), data.address],
            [t('running.url'), data.url],
            [t('running.access'), t(data.open ? 'running.open' : 'running.closed')],
            [t('running.configuration'), data.configuration ?? t('configuration.noFile')],
            [t('running.data'), data.data],
            [t('running.database'), data.database === 'postgres' ? 'PostgreSQL' : data.database === 'sqlite' ? 'SQLite' : t('common:none')],
            [t('running.since'), `${format.time(data.started_at)} (${format.duration(Math.max(0, Math.floor((now - data.started_at) / 1000) * 1000))})`],
            [t('running.providers'), format.number(data.providers)],
            [t('running.models'), format.number(data.models)],
            [t('running.requests'), format.number(data.requests)],
            [t('running.problems'), format.number(data.problems)],
          ]}
        />
      </Panel>
      <Panel title={t('running.more')}>
        <Stack gap={4} align="flex-start">
          <Anchor href="/docs/guide/" target="_blank" rel="noreferrer" size="sm" underline="always">
            {t('common:shell.guide')}
          </Anchor>
          <Anchor href="/docs" target="_blank" rel="noreferrer" size="sm" underline="always">
            {t('running.api')}
          </Anchor>
        </Stack>
      </Panel>
    </Stack>
  );
}
