import { Anchor, Button, Group, Text } from '@mantine/core';
import { IconArrowBackUp, IconPlayerStop, IconSend } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { PlaygroundState } from './usePlayground';

export interface SendingProps {
  play: PlaygroundState;
  ready: boolean;
  /** What is missing. */
  why: 'unknown' | 'key' | 'model' | 'tools' | 'body' | null;
  /** Leads to the tools. */
  onMend: () => void;
}

/** Sends, or says why nothing can be sent. */
export function SendOrStop({ play, ready, why, onMend, disabled, waits, onSend }: SendingProps & { disabled?: boolean; waits?: boolean; onSend: () => void }) {
  const { t } = useTranslation(['playground', 'common']);
  if (play.busy) {
    return (
      <Button color="red.8" leftSection={<IconPlayerStop size={16} />} onClick={play.stop}>
        {t('composer.stop')}
      </Button>
    );
  }
  return (
    <Group gap="xs" justify="flex-end">
      {why !== null && (
        <Text size="xs" c="dimmed" role="status">
          {t(`composer.why.${why}`)}{' '}
          {why === 'tools' && (
            <Anchor component="button" type="button" inherit onClick={onMend}>
              {t('composer.mend')}
            </Anchor>
          )}
        </Text>
      )}
      <Button leftSection={<IconSend size={16} />} disabled={!ready || disabled} loading={waits} onClick={onSend}>
        {t('composer.send')}
      </Button>
    </Group>
  );
}

/** Brings back what was thrown away last. */
export function Undo({ play }: { play: PlaygroundState }) {
  const { t } = useTranslation(['playground', 'common']);
  if (!play.undo) return null;
  return (
    <Group gap="xs" mb={4} role="status">
      <Text size="xs" c="dimmed">
        {t(`undo.${play.undo.what}`)}
      </Text>
      <Button size="compact-xs" variant="light" leftSection={<IconArrowBackUp size={13} />} onClick={play.bringBack}>
        {t('undo.do')}
      </Button>
    </Group>
  );
}
