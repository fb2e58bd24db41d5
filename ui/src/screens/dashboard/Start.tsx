import { Button, Group, Stack, Text, ThemeIcon } from '@mantine/core';
import { IconCheck, IconNumber1Small, IconNumber2Small, IconNumber3Small } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '../../api/client';
import { getJson, useList } from '../../api/list';
import { useStatus } from '../../app/session';
import { Panel } from '../../widgets/Panel';

const NUMBERS = [IconNumber1Small, IconNumber2Small, IconNumber3Small];

/** The way to the first answer, until there was one. */
export function Start() {
  const { t } = useTranslation(['dashboard', 'common']);
  const status = useStatus().data;
  const one = { pageSize: 1 };
  const requests = useList('/admin/api/requests', 'requests', {}, { ...one, refetchInterval: 5_000 });
  const keys = useList('/admin/api/keys', 'keys', {}, one);
  const none = !requests.isPending && !requests.error && requests.rows.length === 0;
  // The log may be emptied, and may not be kept at all: sums of what was used stay.
  const used = useQuery({
    queryKey: ['get', '/admin/api/usage', 'ever'],
    queryFn: ({ signal }) => getJson<Schemas['Usage']>('/admin/api/usage', { period: 'month', from: 0, limit: 1 }, signal),
    enabled: none,
  });
  const fresh = status !== undefined && none && used.data?.rows.length === 0;
  if (!fresh && !(status && status.providers === 0)) return null;
  const steps = [
    { name: 'provider', done: (status?.providers ?? 0) > 0, to: '/providers', search: { add: '1' } },
    { name: 'key', done: keys.rows.length > 0, to: '/keys', search: { new: '1' } },
    { name: 'connect', done: requests.rows.length > 0, to: '/connect', search: {} },
  ];
  const next = steps.findIndex(({ done }) => !done);
  return (
    <Panel title={t('start.title')}>
      <Text size="sm" c="dimmed" mb="md">
        {t('start.about')}
      </Text>
      <Stack gap="sm" component="ol" m={0} p={0} style={{ listStyle: 'none' }}>
        {steps.map(({ name, done, to, search }, at) => {
          const Icon = done ? IconCheck : (NUMBERS[at] ?? IconCheck);
          return (
            <Group key={name} component="li" gap="sm" wrap="nowrap" align="flex-start">
              <ThemeIcon variant={done ? 'filled' : 'light'} color={done ? 'teal.9' : undefined} radius="xl" {...(done && { role: 'img', 'aria-label': t('start.done') })}>
                <Icon size={18} />
              </ThemeIcon>
              <div style={{ flex: 1 }}>
                <Text fw={600} size="sm">
                  {t(`start.${name}`)}
                </Text>
                <Text size="sm" c="dimmed">
                  {t(`start.${name}Text`)}
                </Text>
              </div>
              <Button component={Link} to={to} search={search as never} size="xs" variant={at === next ? 'filled' : 'default'}>
                {t(`start.${name}Do`)}
              </Button>
            </Group>
          );
        })}
      </Stack>
    </Panel>
  );
}
