import { Anchor, Box, Button, Drawer, Group, SimpleGrid, Stack, Switch, Tabs, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import type { Problem } from '../../api/problem';
import { useAct, useTell } from '../../widgets/act';
import { GoneAlert } from '../../widgets/ConflictAlert';
import { useFormat } from '../../widgets/format';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { StateBadge } from '../../widgets/StateBadge';
import { Waiting } from '../../widgets/Waiting';
import { Fact, Problems } from '../providers/Detail';
import { LastCheck, Standing } from '../providers/Marks';
import { actOn, REFRESHES } from './acts';
import { Codes, Rate } from './columns';
import { CredentialForm } from './CredentialForm';
import { DetailAccount } from './DetailAccount';
import { DetailActs } from './DetailActs';
import { type Credential, isRisky, paceText } from './quota';

interface Props {
  id: string;
  tab: string;
  onTab: (tab: string) => void;
  onClose: () => void;
  onDelete: (credential: Credential) => void;
}

/** Everything about a key or an account. */
export function Detail({ id, tab, onTab, onClose, onDelete }: Props) {
  const { t } = useTranslation(['credentials', 'common']);
  const tell = useTell();
  const query = useQuery<Credential, Problem>({
    queryKey: ['get', '/admin/api/credentials', id],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/credentials/{id}', { params: { path: { id } }, signal })).data as Credential,
    enabled: id !== '',
    refetchInterval: 5_000,
  });
  const credential = query.data;
  // What was loaded stays, and what was typed into it, even where it is there no more.
  const gone = credential !== undefined && query.error?.status === 404;
  const provider = useQuery({
    queryKey: ['get', '/admin/api/providers', credential?.provider],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/providers/{id}', { params: { path: { id: credential?.provider ?? '' } }, signal })).data,
    enabled: credential?.kind === 'account',
  });
  const account = credential?.kind === 'account';
  const current = tab === 'account' && !account ? 'overview' : tab;
  return (
    <Drawer opened={id !== ''} onClose={onClose} title={<Text component="span" fw={650}><bdi>{credential?.label ?? id}</bdi></Text>}>
      {query.isPending && <Waiting />}
      {query.error && <Box mb="md">{gone ? <GoneAlert /> : <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />}</Box>}
      {credential && (
        <Tabs value={current} onChange={(tab) => onTab(tab ?? 'overview')} keepMounted={false}>
          <Tabs.List mb="md">
            <Tabs.Tab value="overview">{t('tabs.overview')}</Tabs.Tab>
            {account && <Tabs.Tab value="account">{t('tabs.account')}</Tabs.Tab>}
            <Tabs.Tab value="definition">{t('tabs.definition')}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="overview">
            <Overview credential={credential} onDelete={() => onDelete(credential)} />
          </Tabs.Panel>
          <Tabs.Panel value="account">
            <Stack gap="md">
              <DetailActs credential={credential} acts={['refresh', 'quota']} />
              <DetailAccount credential={credential} risky={isRisky(provider.data)} />
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="definition">
            {credential.definition ? (
              <CredentialForm credential={credential} onSaved={() => tell.done(t('common:saved'))} />
            ) : (
              <Text size="sm" c="dimmed">
                {t('elsewhere', { origin: t(`common:origins.${credential.origin}`) })}
              </Text>
            )}
          </Tabs.Panel>
        </Tabs>
      )}
    </Drawer>
  );
}

function Overview({ credential, onDelete }: { credential: Credential; onDelete: () => void }) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const turn = useAct(async (on: boolean) => actOn(credential.id, on ? 'enable' : 'disable'), {
    refreshes: REFRESHES,
    done: (after, on) => after?.note ?? t(on ? 'turned.on' : 'turned.off', { name: credential.label }),
  });
  const own = credential.origin === 'database';
  const limits = [credential.limits?.requests != null ? t('limits.atOnce', { count: credential.limits.requests }) : '', paceText(credential.limits?.pace) ?? ''].filter(Boolean);
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Standing of={credential} />
        <Switch
          label={credential.enabled ? t('common:enabled') : t('common:disabled')}
          checked={credential.enabled}
          disabled={turn.isPending}
          onChange={(event) => turn.run(event.currentTarget.checked)}
        />
      </Group>
      <Problems of={credential} />
      {(credential.cause || credential.reason) && (
        <Text size="sm">
          {credential.cause && <code>{credential.cause}</code>} <bdi>{credential.reason}</bdi>
        </Text>
      )}
      <DetailActs credential={credential} acts={credential.kind === 'account' ? ['probe', 'refresh', 'quota', 'revive'] : ['probe', 'revive']} />
      <SimpleGrid cols={{ base: 2, xs: 3 }} spacing="sm" verticalSpacing="sm">
        <Fact name={t('columns.provider')}>
          <Anchor size="sm" renderRoot={(props) => <Link to="/providers" search={{ open: credential.provider } as never} {...props} />}>
            <bdi>{credential.provider}</bdi>
          </Anchor>
        </Fact>
        <Fact name={t('columns.kind')}>{t(`kinds.${credential.kind}`)}</Fact>
        <Fact name={t('columns.masked')}>
          <code>{credential.masked ?? '…'}</code>
        </Fact>
        <Fact name={t('columns.rate')}>
          <Rate of={credential} />
        </Fact>
        <Fact name={t('statistics.requests')}>{format.number(credential.requests)}</Fact>
        <Fact name={t('facts.failures')}>{format.number(credential.failures)}</Fact>
        <Fact name={t('columns.inFlight')}>{format.number(credential.in_flight)}</Fact>
        <Fact name={t('columns.used')}>{format.ago(credential.last_used)}</Fact>
        <Fact name={t('facts.check')}>
          <LastCheck check={credential.probe} />
        </Fact>
        <Fact name={t('columns.share')}>{t('limits.share', { weight: credential.weight ?? 1, priority: credential.priority ?? 1 })}</Fact>
        <Fact name={t('facts.limits')}>{limits.join(' · ') || t('limits.none')}</Fact>
        <Fact name={t('columns.origin')}>{t(`common:origins.${credential.origin}`)}</Fact>
        {credential.created_at != null && <Fact name={t('facts.created')}>{format.time(credential.created_at)}</Fact>}
        {credential.updated_at != null && <Fact name={t('facts.updated')}>{format.time(credential.updated_at)}</Fact>}
      </SimpleGrid>
      <Fact name={t('columns.codes')}>
        <Codes of={credential} />
      </Fact>
      {(credential.models?.length ?? 0) > 0 && (
        <Fact name={t('facts.resting')}>
          <Stack gap={4} mt={4}>
            {credential.models?.map((one) => (
              <Group key={one.model} gap="xs">
                <bdi>{one.model}</bdi>
                <StateBadge state={one.state} until={one.until} reason={[one.cause, one.reason].filter(Boolean).join(': ')} />
              </Group>
            ))}
          </Stack>
        </Fact>
      )}
      <Group gap="xs">
        <Button size="xs" variant="default" component={Link} to="/requests" search={{ credential: credential.id } as never}>
          {t('facts.itsRequests')}
        </Button>
        {own && (
          <Button size="xs" variant="light" color="red" onClick={onDelete}>
            {t('common:delete')}
          </Button>
        )}
      </Group>
    </Stack>
  );
}
