import { Anchor, Badge, Button, Group, Progress, SimpleGrid, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { getJson, useList } from '../../api/list';
import { useSession } from '../../app/session';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { PageHeader } from '../../widgets/PageHeader';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { useAmountWords, useLimitWords } from '../../widgets/rules/RulesSummary';
import type { Limit } from '../../widgets/rules/rules';
import { stateOf } from '../keys/key';
import { colourOf, usedShare } from '../../widgets/standing';
import { monthStart } from './month';

/** What belongs to whoever is signed in and is no admin: keys, use, limits, models, and the way to connect. */
export default function Home() {
  const { t } = useTranslation(['home', 'common']);
  const session = useSession();
  return (
    <>
      <PageHeader title={t('hello', { name: session.name ?? '' })} about={t(session.role === 'manager' ? 'aboutManager' : 'about')}>
        <Button component={Link} to="/connect">
          {t('common:screens.connect')}
        </Button>
      </PageHeader>
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <Used />
        <Limits />
        <Keys />
        <Models />
      </SimpleGrid>
    </>
  );
}

function Used() {
  const { t } = useTranslation(['home', 'common']);
  const format = useFormat();
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['get', '/admin/api/usage', 'home'],
    queryFn: ({ signal }) => getJson<Schemas['Usage']>('/admin/api/usage', { by: 'model', from: monthStart(new Date()), limit: 10, sort: 'cost' }, signal),
  });
  return (
    <Panel title={t('used')} actions={<Anchor component={Link} to="/usage" size="sm">{t('common:screens.usage')}</Anchor>}>
      <ProblemAlert problem={error} onRetry={() => void refetch()} />
      {isPending && <Waiting />}
      {data?.rows.length === 0 && <Empty title={t('nothingUsed')}>{t('nothingUsedText')}</Empty>}
      {data && data.rows.length > 0 && (
        <Table.ScrollContainer minWidth={380} scrollAreaProps={{ viewportProps: { tabIndex: 0, 'aria-label': t('used') } }}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('common:screens.models')}</Table.Th>
                <Table.Th ta="right">{t('common:screens.requests')}</Table.Th>
                <Table.Th ta="right">{t('tokens')}</Table.Th>
                <Table.Th ta="right">{t('cost')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {data.rows.map((row) => (
                <Table.Tr key={row.model ?? ''}>
                  <Table.Td>
                    <bdi>{row.model ?? '–'}</bdi>
                  </Table.Td>
                  <Table.Td ta="right">{format.number(row.requests)}</Table.Td>
                  <Table.Td ta="right">{format.short(row.tokens)}</Table.Td>
                  <Table.Td ta="right">{format.money(row.cost)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Panel>
  );
}

function Limits() {
  const { t } = useTranslation(['home', 'common']);
  const format = useFormat();
  const words = useLimitWords();
  const amount = useAmountWords();
  const list = useList('/admin/api/quotas', 'quotas', {}, { refetchInterval: 15_000, pageSize: 50 });
  return (
    <Panel title={t('common:screens.quotas')}>
      <ProblemAlert problem={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Waiting />}
      {!list.isPending && !list.error && list.rows.length === 0 && <Text size="sm">{t('noLimits')}</Text>}
      <Stack gap="xs">
        {list.rows.map((quota) => {
          const share = usedShare(quota.amount, quota.left);
          return (
            <div key={quota.id}>
              <Group justify="space-between" gap="xs">
                <Text size="sm">
                  {words(quota as unknown as Limit)}{' '}
                  <Text span size="xs" c="dimmed">
                    <bdi>{quota.of.name ?? quota.of.kind}</bdi>
                  </Text>
                </Text>
                <Text size="sm">
                  {t('left', { left: amount(quota.what, quota.left) })}
                  {quota.resets_at ? ` · ${t('resets', { when: format.ago(quota.resets_at) })}` : ''}
                </Text>
              </Group>
              <Progress value={share * 100} color={colourOf(share)} aria-label={words(quota as unknown as Limit)} />
            </div>
          );
        })}
      </Stack>
    </Panel>
  );
}

function Keys() {
  const { t } = useTranslation(['home', 'common', 'keys']);
  const list = useList('/admin/api/keys', 'keys', {}, { pageSize: 10 });
  return (
    <Panel title={t('common:screens.keys')} actions={<Button size="xs" component={Link} to="/keys" search={{ new: '1' } as never}>{t('keys:make')}</Button>}>
      <ProblemAlert problem={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Waiting />}
      {!list.isPending && !list.error && list.rows.length === 0 && <Empty title={t('noKeys')}>{t('noKeysText')}</Empty>}
      <Stack gap={6}>
        {list.rows.slice(0, 10).map((key) => (
          <Group key={key.id} justify="space-between" gap="xs">
            <Anchor component={Link} to="/keys" search={{ id: key.id } as never} size="sm">
              <bdi>{key.name}</bdi>
            </Anchor>
            <Group gap="xs">
              <code>{key.masked}</code>
              <Badge color={stateOf(key) === 'ready' ? 'teal' : 'gray'}>{t(`keys:states.${stateOf(key)}`)}</Badge>
            </Group>
          </Group>
        ))}
      </Stack>
      {list.hasMore && (
        <Anchor component={Link} to="/keys" size="sm">
          {t('allKeys')}
        </Anchor>
      )}
    </Panel>
  );
}

function Models() {
  const { t } = useTranslation(['home', 'common']);
  const list = useList('/admin/api/models', 'models', {}, { pageSize: 200 });
  return (
    <Panel title={t('models')}>
      <ProblemAlert problem={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Waiting />}
      {!list.isPending && !list.error && list.rows.length === 0 && <Empty title={t('noModels')}>{t('noModelsText')}</Empty>}
      <Group gap={6}>
        {list.rows.map((model) => (
          <Badge key={model.name} component={Link} to="/playground" search={{ model: model.name } as never} color="gray" style={{ cursor: 'pointer', maxWidth: '100%' }}>
            <bdi>{model.name}</bdi>
          </Badge>
        ))}
      </Group>
      {list.hasMore && (
        <Button mt="xs" size="xs" variant="default" loading={list.loadingMore} onClick={list.loadMore}>
          {t('moreModels')}
        </Button>
      )}
    </Panel>
  );
}
