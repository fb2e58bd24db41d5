import { Alert, Anchor, Button, Group, List, SimpleGrid, Stack, Switch, Text } from '@mantine/core';
import { IconAlertTriangle, IconMessages, IconTrash } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useAct } from '../../widgets/act';
import { useChange } from '../../api/query';
import { Confirm } from '../../widgets/confirm';
import { useFormat } from '../../widgets/format';
import { NeededBy } from '../providers/DeleteProvider';
import type { Pool } from './pool';

/** How a pool fares, and what is done with it as a whole. */
export function PoolHead({ pool, onGone, refreshes }: { pool: Pool; onGone: () => void; refreshes: string[] }) {
  const { t } = useTranslation(['pools', 'common']);
  const format = useFormat();
  const [asking, setAsking] = useState(false);
  const path = { params: { path: { id: pool.id ?? pool.name } } };
  const own = pool.origin === 'database';
  const turn = useAct((on: boolean) => (on ? api.POST('/admin/api/pools/{id}/enable', path) : api.POST('/admin/api/pools/{id}/disable', path)), {
    refreshes,
    done: (_, on) => t(on ? 'turnedOn' : 'turnedOff', { name: pool.name }),
  });
  const remove = useChange<void>(() => api.DELETE('/admin/api/pools/{id}', path), { refreshes, onDone: onGone });
  const needed = remove.error?.code === 'referenced' ? remove.error : null;
  const figures = pool.conversations;
  const shown = [
    ['hitRate', format.percent(figures?.hit_rate)],
    ['kept', format.number(figures?.kept)],
    ['moved', format.number(figures?.moved)],
    ['new', format.number(figures?.new)],
  ] as const;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Group gap="md">
          {own && <Switch checked={pool.enabled !== false} onChange={(event) => turn.run(event.currentTarget.checked)} disabled={turn.isPending} label={t('head.on')} />}
          <Anchor component={Link} to="/explain" search={{ model: pool.name } as never} size="sm">
            {t('head.explain')}
          </Anchor>
          <Anchor component={Link} to="/playground" search={{ model: pool.name } as never} size="sm">
            <Group gap={4}>
              <IconMessages size={15} />
              {t('head.try')}
            </Group>
          </Anchor>
        </Group>
        {own && (
          <Button variant="subtle" color="red" size="xs" leftSection={<IconTrash size={15} />} onClick={() => setAsking(true)}>
            {t('common:delete')}
          </Button>
        )}
      </Group>
      {pool.enabled !== false && (pool.problems?.length ?? 0) > 0 && (
        <Alert color="red" variant="light" icon={<IconAlertTriangle />} title={t('card.broken')}>
          <List size="sm">
            {pool.problems?.map((problem, at) => (
              <List.Item key={at}>
                {problem.path && <code>{problem.path} </code>}
                {problem.message}
                {problem.remedy && <> — {problem.remedy}</>}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
      {figures && (
        <SimpleGrid cols={{ base: 2, xs: 4 }} spacing="xs">
          {shown.map(([name, value]) => (
            <div key={name}>
              <Text size="xs" c="dimmed">
                {t(`cache.${name}`)}
              </Text>
              <Text fw={600}>{value}</Text>
            </div>
          ))}
        </SimpleGrid>
      )}
      <Confirm
        opened={asking}
        onClose={() => (setAsking(false), remove.reset())}
        title={t('remove.title', { name: pool.name })}
        action={t('common:delete')}
        onConfirm={() => remove.mutate()}
        pending={remove.isPending}
        problem={needed ? null : remove.error}
      >
        <Text size="sm" mb="sm">
          {t('remove.text')}
        </Text>
        {needed && <NeededBy problem={needed} />}
      </Confirm>
    </Stack>
  );
}
