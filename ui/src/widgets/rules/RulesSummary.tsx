import { Badge, Group, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { useSession } from '../../app/session';
import { useFormat } from '../format';
import type { Limit } from './rules';

/** How much of what a limit counts. */
export function useAmountWords(): (what: string, amount: number | string) => string {
  const format = useFormat();
  const { currency } = useSession();
  return (what, amount) => (what === 'money' && currency ? format.money({ [currency]: String(amount) }) : format.number(Number(amount), what === 'money' ? 6 : 0));
}

/** A limit in words: `60 requests per minute, claude-*`. */
export function useLimitWords(): (limit: Limit) => string {
  const { t } = useTranslation();
  const write = useAmountWords();
  return (limit) => {
    const amount = write(limit.what, limit.amount);
    const words = limit.what === 'concurrency' || !limit.window
      ? t('rules.words.concurrency', { amount })
      : t(`rules.words.${limit.what}`, { count: Number(limit.amount), amount, window: t(`rules.windows.${limit.window}`) });
    return limit.models ? `${words} (${limit.models})` : words;
  };
}

/** What is allowed, in a few badges. */
export function RulesSummary({ rules }: { rules: { models: string[]; pools: string[]; protocols: string[]; networks: string[]; limits: Limit[]; capture: boolean } }) {
  const { t } = useTranslation();
  const words = useLimitWords();
  const line = (label: string, entries: ReactNode[]) => (
    <Group gap="xs" align="flex-start" wrap="nowrap">
      <Text size="sm" c="dimmed" w={120} style={{ flex: 'none' }}>
        {label}
      </Text>
      <Group gap={4}>
        {entries.length === 0 ? (
          <Text size="sm">{t('rules.everything')}</Text>
        ) : (
          entries.map((entry, at) => (
            <Badge key={at} color="gray" style={{ maxWidth: '100%' }}>
              <bdi>{entry}</bdi>
            </Badge>
          ))
        )}
      </Group>
    </Group>
  );
  return (
    <Stack gap={6}>
      {line(t('rules.models'), rules.models)}
      {rules.pools.length > 0 && line(t('rules.pools'), rules.pools)}
      {line(t('rules.protocols'), rules.protocols.map((name) => t(`protocols.${name}`, { defaultValue: name })))}
      {rules.networks.length > 0 && line(t('rules.networks'), rules.networks)}
      <Group gap="xs" align="flex-start" wrap="nowrap">
        <Text size="sm" c="dimmed" w={120} style={{ flex: 'none' }}>
          {t('rules.limits')}
        </Text>
        <Stack gap={2}>
          {rules.limits.length === 0 ? <Text size="sm">{t('rules.noLimits')}</Text> : rules.limits.map((limit, at) => <Text key={at} size="sm">{words(limit)}</Text>)}
        </Stack>
      </Group>
      {rules.capture && (
        <Badge color="orange" style={{ alignSelf: 'flex-start' }}>
          {t('rules.captured')}
        </Badge>
      )}
    </Stack>
  );
}
