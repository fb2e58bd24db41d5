import { Badge, Button, Card, Group, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useChange } from '../../api/query';
import { Confirm } from '../../widgets/confirm';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import type { Provider } from './columns';

/** What refusals of a provider taught: members that its models do not take. */
export function DetailLearned({ provider }: { provider: Provider }) {
  const { t } = useTranslation(['providers', 'common']);
  const format = useFormat();
  const [asking, setAsking] = useState(false);
  const forget = useChange(() => api.DELETE('/admin/api/providers/{id}/learned', { params: { path: { id: provider.name } } }), {
    refreshes: ['/admin/api/providers'],
    onDone: () => setAsking(false),
  });
  const learned = provider.learned ?? [];
  if (learned.length === 0) return <Empty title={t('learned.none')}>{t('learned.about')}</Empty>;
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-start">
        <Text size="sm" c="dimmed" flex={1} miw={220}>
          {t('learned.about')}
        </Text>
        <Button size="xs" variant="default" onClick={() => setAsking(true)}>
          {t('learned.forget')}
        </Button>
      </Group>
      {learned.map((lesson) => (
        <Card key={`${lesson.model} ${lesson.member}`} withBorder padding="sm">
          <Group gap="xs">
            <Text size="sm" fw={600}>
              <bdi>{lesson.model}</bdi>
            </Text>
            <Badge color="gray">
              <code>{lesson.member}</code>
              {lesson.instead ? (
                <>
                  {' → '}
                  <code>{lesson.instead}</code>
                </>
              ) : (
                ` · ${t('learned.leftOut')}`
              )}
            </Badge>
            <Text size="xs" c="dimmed">
              {format.ago(lesson.since)}
            </Text>
          </Group>
          <Text size="xs" c="dimmed" mt={4}>
            <bdi>{lesson.message}</bdi>
          </Text>
        </Card>
      ))}
      <Confirm opened={asking} onClose={() => setAsking(false)} title={t('learned.forget')} action={t('learned.forget')} onConfirm={() => forget.mutate()} pending={forget.isPending} problem={forget.error}>
        {t('learned.forgetText')}
      </Confirm>
    </Stack>
  );
}
