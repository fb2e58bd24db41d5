import { Alert, Button, Group, Text } from '@mantine/core';
import { IconGitMerge, IconTrash } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

/** A change was refused because somebody else made one meanwhile (412 `stale`). Nothing typed is lost: the reader decides. */
export function ConflictAlert({ onTake, onReplace, pending }: { onTake: () => void; onReplace: () => void; pending?: boolean }) {
  const { t } = useTranslation();
  return (
    <Alert color="orange" variant="light" icon={<IconGitMerge />} role="alert" title={t('conflict.title')}>
      <Text size="sm">{t('conflict.text')}</Text>
      <Group mt="xs" gap="xs">
        <Button size="xs" variant="default" onClick={onTake}>
          {t('conflict.take')}
        </Button>
        <Button size="xs" color="#a33c06" onClick={onReplace} loading={pending}>
          {t('conflict.replace')}
        </Button>
      </Group>
    </Alert>
  );
}

/** What is being changed was deleted by somebody else. Nothing typed is lost, but there is nothing to save it to. */
export function GoneAlert() {
  const { t } = useTranslation();
  return (
    <Alert color="orange" variant="light" icon={<IconTrash />} role="alert" title={t('conflict.gone')}>
      <Text size="sm">{t('conflict.goneText')}</Text>
    </Alert>
  );
}
