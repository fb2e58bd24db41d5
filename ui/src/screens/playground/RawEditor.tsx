import { Alert, Button, Group, Text, Textarea } from '@mantine/core';
import { IconArrowBackUp } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { readRaw } from './conversation';
import classes from './Playground.module.css';
import { SendOrStop, type SendingProps, Undo } from './Sending';

/** The body of the request, written by hand: it is sent as it stands. */
export function RawEditor({ play, ...sending }: SendingProps) {
  const { t } = useTranslation(['playground', 'common']);
  const raw = play.raw ?? '';
  const read = readRaw(raw);
  const wrong = 'wrong' in read ? (read.wrong === 'object' ? t('raw.object') : t('raw.wrong', { why: read.wrong })) : null;
  const send = () => sending.ready && !play.busy && play.send();
  return (
    <div className={classes.composer}>
      <Undo play={play} />
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
        onChange={(event) => play.setRaw(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            send();
          }
        }}
      />
      <Group justify="space-between" mt="xs">
        <Group gap="xs">
          <Text size="xs" c="dimmed">
            {t('raw.hint')}
          </Text>
          {play.written && (
            <Button size="compact-xs" variant="subtle" onClick={play.remake}>
              {t('raw.remake')}
            </Button>
          )}
        </Group>
        <SendOrStop play={play} {...sending} onSend={send} />
      </Group>
    </div>
  );
}
