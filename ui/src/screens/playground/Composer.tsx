import { ActionIcon, Alert, Button, FileButton, Group, Text, Textarea, Tooltip } from '@mantine/core';
import { IconPhoto, IconPlayerStop, IconSend, IconTrash, IconX } from '@tabler/icons-react';
import { type DragEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { IMAGE_TYPES, MOST_BYTES, MOST_IMAGES, readImage, type Refused, sortFiles } from './images';
import classes from './Playground.module.css';
import { dataUrl } from './protocols/neutral';
import type { PlaygroundState } from './usePlayground';

/** Where one types, adds images, sends and stops. */
export function Composer({ play, ready }: { play: PlaygroundState; ready: boolean }) {
  const { t } = useTranslation(['playground', 'common']);
  const format = useFormat();
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState<Refused[]>([]);
  const { input, images, busy } = play;
  const add = async (files: readonly File[]) => {
    if (files.length === 0) return;
    const { good, refused } = sortFiles(files, images.length);
    const read = await Promise.allSettled(good.map(readImage));
    const bad = read.flatMap((one, at): Refused[] => (one.status === 'rejected' ? [{ name: good[at]?.name ?? '', why: 'read' }] : []));
    setRefused([...refused, ...bad]);
    play.set({ images: [...images, ...read.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))] });
  };
  const nothing = input.trim() === '' && images.length === 0;
  const send = () => {
    if (!ready || busy || nothing) return;
    setRefused([]);
    play.send();
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void add([...event.dataTransfer.files]);
  };
  return (
    <div className={classes.composer} data-over={over || undefined} onDrop={onDrop} onDragOver={(event) => (event.preventDefault(), setOver(true))} onDragLeave={() => setOver(false)}>
      {refused.length > 0 && (
        <Alert color="orange" variant="light" mb="xs" withCloseButton closeButtonLabel={t('common:close')} onClose={() => setRefused([])}>
          {refused.map(({ name, why }, at) => (
            <Text key={at} size="sm">
              <bdi>{name}</bdi>: {t(`images.${why}`, { size: format.number(MOST_BYTES / 1024 / 1024), count: MOST_IMAGES })}
            </Text>
          ))}
        </Alert>
      )}
      {images.length > 0 && (
        <Group gap="xs" mb="xs">
          {images.map((image, at) => (
            <Group key={at} gap={2} wrap="nowrap" align="flex-start">
              <img className={classes.thumb} src={dataUrl(image)} alt={image.name ?? t('answer.image')} />
              <ActionIcon size="sm" variant="subtle" color="gray" aria-label={t('images.remove', { name: image.name ?? at + 1 })} onClick={() => play.set({ images: images.filter((_, index) => index !== at) })}>
                <IconX size={13} />
              </ActionIcon>
            </Group>
          ))}
        </Group>
      )}
      <Textarea
        variant="unstyled"
        autosize
        minRows={2}
        maxRows={12}
        aria-label={t('composer.label')}
        placeholder={t('composer.placeholder')}
        value={input}
        onChange={(event) => play.set({ input: event.currentTarget.value })}
        onPaste={(event) => {
          const files = [...event.clipboardData.files];
          if (files.length > 0) {
            event.preventDefault();
            void add(files);
          }
        }}
        onKeyDown={(event) => {
          // Enter also ends what is composed in Chinese, and is then not for us.
          if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          }
        }}
      />
      <Group justify="space-between" gap="xs" mt={4}>
        <Group gap={4}>
          <FileButton accept={IMAGE_TYPES.join(',')} multiple onChange={(files) => void add(files)}>
            {(props) => (
              <Tooltip label={t('images.add', { size: format.number(MOST_BYTES / 1024 / 1024), count: MOST_IMAGES })} multiline maw={300}>
                <ActionIcon {...props} variant="subtle" color="gray" size="lg" aria-label={t('images.label')}>
                  <IconPhoto size={18} />
                </ActionIcon>
              </Tooltip>
            )}
          </FileButton>
          <Tooltip label={t('composer.clear')}>
            <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('composer.clear')} onClick={play.clear}>
              <IconTrash size={18} />
            </ActionIcon>
          </Tooltip>
        </Group>
        <SendOrStop busy={busy} disabled={!ready || nothing} onSend={send} onStop={play.stop} />
      </Group>
    </div>
  );
}

export function SendOrStop({ busy, disabled, onSend, onStop }: { busy: boolean; disabled: boolean; onSend: () => void; onStop: () => void }) {
  const { t } = useTranslation(['playground', 'common']);
  return busy ? (
    <Button color="red.8" leftSection={<IconPlayerStop size={16} />} onClick={onStop}>
      {t('composer.stop')}
    </Button>
  ) : (
    <Button leftSection={<IconSend size={16} />} disabled={disabled} onClick={onSend}>
      {t('composer.send')}
    </Button>
  );
}
