import { Alert, Box, Button, Drawer, Group, SimpleGrid, Stack, Switch, Tabs, Text } from '@mantine/core';
import { IconAlertTriangle, IconLock, IconPlugConnected } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import type { Problem } from '../../api/problem';
import { useTell } from '../../widgets/act';
import { GoneAlert } from '../../widgets/ConflictAlert';
import { useFormat } from '../../widgets/format';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { TryReport } from './add/TryReport';
import { useTry } from './add/useTry';
import type { Provider } from './columns';
import { DetailCredentials } from './DetailCredentials';
import { DetailLearned } from './DetailLearned';
import { DetailModels } from './DetailModels';
import { ProviderForm } from './definition/ProviderForm';
import { LastCheck, Standing } from './Marks';
import { useSwitch } from './RowMenu';

interface Props {
  name: string;
  tab: string;
  onTab: (tab: string) => void;
  onClose: () => void;
  onDelete: (provider: Provider) => void;
}

/** Everything about a provider. */
export function Detail({ name, tab, onTab, onClose, onDelete }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const query = useQuery<Provider, Problem>({
    queryKey: ['get', '/admin/api/providers', name],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/providers/{id}', { params: { path: { id: name } }, signal })).data as Provider,
    enabled: name !== '',
    refetchInterval: 5_000,
  });
  const provider = query.data;
  // What was loaded stays, and what was typed into it, even where it is there no more.
  const gone = provider !== undefined && query.error?.status === 404;
  return (
    <Drawer opened={name !== ''} onClose={onClose} title={<Text component="span" fw={650}><bdi>{name}</bdi></Text>}>
      {query.isPending && <Waiting />}
      {query.error && <Box mb="md">{gone ? <GoneAlert /> : <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />}</Box>}
      {provider && (
        <Tabs value={tab} onChange={(tab) => onTab(tab ?? 'overview')} keepMounted={false}>
          <Tabs.List mb="md">
            {['overview', 'models', 'credentials', 'learned', 'definition'].map((tab) => (
              <Tabs.Tab key={tab} value={tab}>
                {t(`tabs.${tab}`)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value="overview">
            <Overview provider={provider} onDelete={() => onDelete(provider)} />
          </Tabs.Panel>
          <Tabs.Panel value="models">
            <DetailModels key={provider.name} provider={provider} />
          </Tabs.Panel>
          <Tabs.Panel value="credentials">
            <DetailCredentials provider={provider} />
          </Tabs.Panel>
          <Tabs.Panel value="learned">
            <DetailLearned provider={provider} />
          </Tabs.Panel>
          <Tabs.Panel value="definition">
            <Declaration provider={provider} />
          </Tabs.Panel>
        </Tabs>
      )}
    </Drawer>
  );
}

function Overview({ provider, onDelete }: { provider: Provider; onDelete: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const format = useFormat();
  const turn = useSwitch();
  const attempt = useTry();
  const own = provider.origin === 'database';
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Standing of={provider} />
        <Switch
          label={provider.enabled ? t('common:enabled') : t('common:disabled')}
          checked={provider.enabled}
          disabled={turn.isPending || (!own && provider.origin !== 'file')}
          onChange={(event) => turn.run({ name: provider.name, on: event.currentTarget.checked })}
        />
      </Group>
      <Problems of={provider} />
      {provider.reason && <Text size="sm">{provider.reason}</Text>}
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" verticalSpacing="sm">
        <Fact name={t('columns.address')}>
          <bdi>{provider.address ?? '–'}</bdi>
        </Fact>
        <Fact name={t('columns.protocol')}>{provider.protocol ? t(`common:protocols.${provider.protocol}`, { defaultValue: provider.protocol }) : '–'}</Fact>
        <Fact name={t('columns.models')}>{format.number(provider.models?.length ?? 0)}</Fact>
        <Fact name={t('columns.credentials')}>{format.number(provider.credentials)}</Fact>
        <Fact name={t('columns.inFlight')}>{format.number(provider.in_flight)}</Fact>
        <Fact name={t('columns.resting')}>{format.number(provider.resting_models?.length ?? 0)}</Fact>
        <Fact name={t('columns.probe')}>
          <LastCheck check={provider.probe?.last} />
        </Fact>
        <Fact name={t('facts.every')}>{provider.probe?.every_ms ? format.duration(provider.probe.every_ms) : t('facts.noProbes')}</Fact>
        <Fact name={t('columns.origin')}>{t(`common:origins.${provider.origin}`)}</Fact>
        {provider.created_at != null && <Fact name={t('facts.created')}>{format.time(provider.created_at)}</Fact>}
        {provider.updated_at != null && <Fact name={t('facts.updated')}>{format.time(provider.updated_at)}</Fact>}
      </SimpleGrid>
      <div aria-live="polite">
        <TryReport attempt={attempt} />
      </div>
      <Group gap="xs">
        <Button size="xs" variant="default" leftSection={<IconPlugConnected size={15} />} loading={attempt.pending} onClick={() => void attempt.run({ provider: provider.name })}>
          {t('actions.test')}
        </Button>
        <Button size="xs" variant="default" component={Link} to="/requests" search={{ provider: provider.name } as never}>
          {t('facts.requests')}
        </Button>
        {own && (
          <Button size="xs" variant="light" color="red" onClick={onDelete}>
            {t('common:delete')}
          </Button>
        )}
      </Group>
      {!own && <Elsewhere provider={provider} />}
    </Stack>
  );
}

function Declaration({ provider }: { provider: Provider }) {
  const { t } = useTranslation(['providers', 'common']);
  const tell = useTell();
  if (provider.origin !== 'database' || !provider.definition) return <Elsewhere provider={provider} />;
  return (
    <Stack gap="sm">
      <Problems of={provider} />
      <ProviderForm provider={provider} onSaved={() => tell.done(t('common:saved'))} />
    </Stack>
  );
}

/** Why it cannot be changed here, and where it can. */
function Elsewhere({ provider }: { provider: Provider }) {
  const { t } = useTranslation(['providers', 'common']);
  return (
    <Alert color="gray" icon={<IconLock />} title={t('elsewhere.title')}>
      <Text size="sm">{t(`elsewhere.${provider.origin}`, { defaultValue: t('elsewhere.other') })}</Text>
    </Alert>
  );
}

/** Why something that is declared is not in force. */
export function Problems({ of }: { of: Pick<Provider, 'problems' | 'in_force' | 'enabled'> }) {
  const { t } = useTranslation(['providers', 'common']);
  const problems = of.problems ?? [];
  if (problems.length === 0) return null;
  return (
    <Alert color="red" icon={<IconAlertTriangle />} title={t('marks.notInForce')} role="alert">
      {problems.map((problem, at) => (
        <Text size="sm" key={at}>
          {problem.path && <code>{problem.path}: </code>}
          {[problem.message, problem.remedy].filter(Boolean).join('. ')}
        </Text>
      ))}
    </Alert>
  );
}

/** A name and what belongs to it. */
export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <Text size="sm" component="div">
        {children}
      </Text>
    </div>
  );
}
