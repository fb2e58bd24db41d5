import { ActionIcon, Alert, FileButton, Group, Text, Textarea, Tooltip } from '@mantine/core';
import { IconPhoto, IconTrash, IconX } from '@tabler/icons-react';
import { type DragEvent, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { IMAGE_TYPES, MOST_BYTES, MOST_IMAGES, type Refused } from './images';
import classes from './Playground.module.css';
import { dataUrl } from './protocols/neutral';
import { SendOrStop, type SendingProps, Undo } from './Sending';

/** Where one types, adds images, sends and stops. */
export function Composer({ play, ...sending }: SendingProps) {
  const { t } = useTranslation(['playground', 'common']);
  const format = useFormat();
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState<Refused[]>([]);
  // Otherwise the same file, chosen once more, would be no change.
  const reset = useRef<() => void>(null);
  const { input, images, busy, reading } = play;
  const add = async (files: readonly File[]) => files.length > 0 && setRefused(await play.addImages(files));
  const nothing = input.trim() === '' && images.length === 0;
  const send = () => {
    if (!sending.ready || busy || nothing || reading > 0) return;
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
      <Undo play={play} />
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
              <ActionIcon size="sm" variant="subtle" color="gray" aria-label={t('images.remove', { name: image.name ?? at + 1 })} onClick={() => play.removeImage(at)}>
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
        onChange={(event) => play.setInput(event.currentTarget.value)}
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
          <FileButton accept={IMAGE_TYPES.join(',')} multiple resetRef={reset} onChange={(files) => (void add(files), reset.current?.())}>
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
        <SendOrStop play={play} {...sending} waits={reading > 0} disabled={nothing} onSend={send} />
      </Group>
    </div>
  );
}
