import { Alert, Group, Text, Textarea } from '@mantine/core';
import { IconArrowBackUp } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { SendOrStop } from './Composer';
import { readRaw } from './conversation';
import classes from './Playground.module.css';
import type { PlaygroundState } from './usePlayground';

/** The body of the request, written by hand: it is sent as it stands. */
export function RawEditor({ play, ready }: { play: PlaygroundState; ready: boolean }) {
  const { t } = useTranslation(['playground', 'common']);
  const raw = play.raw ?? '';
  const read = readRaw(raw);
  const wrong = 'wrong' in read ? (read.wrong === 'object' ? t('raw.object') : t('raw.wrong', { why: read.wrong })) : null;
  const send = () => ready && !play.busy && !wrong && play.send();
  return (
    <div className={classes.composer}>
      {play.from && (
        <Alert color="blue" variant="light" mb="xs" icon={<IconArrowBackUp />}>
          {t('raw.from')} <code>{play.from}</code>
        </Alert>
      )}
      <Textarea
        label={t('raw.label')}
        description={t('raw.about')}
        autosize
        minRows={8}
        maxRows={22}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem' } }}
        value={raw}
        error={wrong}
        onChange={(event) => play.set({ raw: event.currentTarget.value })}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            send();
          }
        }}
      />
      <Group justify="space-between" mt="xs">
        <Text size="xs" c="dimmed">
          {t('raw.hint')}
        </Text>
        <SendOrStop busy={play.busy} disabled={!ready || wrong !== null} onSend={send} onStop={play.stop} />
      </Group>
    </div>
  );
}
