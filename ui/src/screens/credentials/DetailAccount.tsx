import { Alert, Card, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useCountdown, useFormat } from '../../widgets/format';
import { Fact } from '../providers/Detail';
import { LeftBar } from './columns';
import { type Bucket, type Credential, left } from './quota';

/** What is known of an account: its tokens, its project, and what is left of its allowances. */
export function DetailAccount({ credential, risky }: { credential: Credential; risky: boolean }) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const { account, quota } = credential;
  const expires = useCountdown(account?.expires_at);
  const next = useCountdown(account?.next_refresh);
  return (
    <Stack gap="md">
      {risky && (
        <Alert color="yellow" icon={<IconAlertTriangle />}>
          <Text size="sm">{t('account.terms')}</Text>
        </Alert>
      )}
      {account?.refresh_error && (
        <Alert color="red" icon={<IconAlertTriangle />} title={t('account.refreshError')}>
          <Text size="sm">
            <bdi>{account.refresh_error}</bdi>
          </Text>
        </Alert>
      )}
      {account && (
        <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="sm">
          <Fact name={t('account.expires')}>
            {account.expires_at ? (expires ? t('account.in', { left: expires }) : t('account.expired', { at: format.time(account.expires_at) })) : t('account.noToken')}
          </Fact>
          <Fact name={t('account.next')}>{account.next_refresh ? (next ? t('account.in', { left: next }) : t('account.now')) : '–'}</Fact>
          <Fact name={t('account.project')}>
            <bdi>{account.project ?? '–'}</bdi>
          </Fact>
        </SimpleGrid>
      )}
      {quota ? (
        <div>
          <Group justify="space-between" mb={6}>
            <Text size="sm" fw={600}>
              {t('quota.title')}
            </Text>
            <Text size="xs" c="dimmed">
              {t('quota.at', { at: format.ago(quota.at) })}
            </Text>
          </Group>
          <Stack gap={6}>
            {quota.buckets.map((bucket, at) => (
              <BucketRow key={at} bucket={bucket} />
            ))}
            {quota.buckets.length === 0 && (
              <Text size="sm" c="dimmed">
                {t('quota.empty')}
              </Text>
            )}
          </Stack>
        </div>
      ) : (
        <Text size="sm" c="dimmed">
          {t('quota.unknown')}
        </Text>
      )}
    </Stack>
  );
}

function BucketRow({ bucket }: { bucket: Bucket }) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const share = left(bucket);
  const resets = useCountdown(bucket.resets_at ? bucket.resets_at * 1000 : null);
  const name = bucket.model ?? t('quota.allModels');
  return (
    <Card withBorder padding="xs">
      <Group justify="space-between" gap="xs" mb={share === undefined ? 0 : 4}>
        <Text size="sm">
          <bdi>{name}</bdi>
          {bucket.unit && (
            <Text span size="xs" c="dimmed">
              {' '}
              {t(`quota.units.${bucket.unit.toLowerCase()}`, { defaultValue: bucket.unit })}
            </Text>
          )}
        </Text>
        <Text size="sm">
          {bucket.unlimited
            ? t('quota.unlimited')
            : bucket.limit != null && bucket.used != null
              ? t('quota.used', { used: format.number(bucket.used), limit: format.number(bucket.limit) })
              : format.percent(share, 0)}
        </Text>
      </Group>
      {share !== undefined && <LeftBar share={share} label={`${t('columns.quota')}: ${name}`} />}
      {(bucket.resets_at || bucket.period) && (
        <Text size="xs" c="dimmed" mt={4}>
          {[bucket.period ? t(`quota.periods.${bucket.period.toLowerCase()}`, { defaultValue: bucket.period }) : '', bucket.resets_at ? (resets ? t('quota.resetsIn', { left: resets }) : t('quota.resets', { at: format.time(bucket.resets_at * 1000) })) : ''].filter(Boolean).join(' · ')}
        </Text>
      )}
    </Card>
  );
}
