import { ActionIcon, Box, Button, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import classes from './Copy.module.css';
import { useCopy } from './useCopy';

/** A small button that copies. */
export function CopyIcon({ text, label }: { text: string; label?: string }) {
  const { t } = useTranslation();
  const { state, copy } = useCopy();
  const words = label ?? t('copy');
  return (
    <Tooltip label={state === 'done' ? t('copied') : state === 'failed' ? t('copyByHand') : words}>
      <ActionIcon variant="subtle" color={state === 'done' ? 'teal' : state === 'failed' ? 'red' : 'gray'} onClick={() => void copy(text)} aria-label={words}>
        {state === 'done' ? <IconCheck size={16} /> : <IconCopy size={16} />}
      </ActionIcon>
    </Tooltip>
  );
}

/** A button that copies what is made only then. */
export function CopyButton({ make, label, onCopied }: { make: () => string; label?: string; onCopied?: () => void }) {
  const { t } = useTranslation();
  const { state, copy } = useCopy(onCopied);
  return (
    <Button
      size="compact-xs"
      variant="default"
      color={state === 'failed' ? 'red' : undefined}
      leftSection={state === 'done' ? <IconCheck size={13} /> : <IconCopy size={13} />}
      onClick={() => void copy(make())}
    >
      {state === 'done' ? t('copied') : state === 'failed' ? t('copyByHand') : (label ?? t('copy'))}
    </Button>
  );
}

/** Program text, with a button that copies it. */
export function Code({ text, label, maxHeight, onCopied }: { text: string; label?: string; maxHeight?: number; onCopied?: () => void }) {
  return (
    <Box className={classes.box}>
      <pre className={classes.code} style={{ maxHeight }} tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <div className={classes.copy}>
        <CopyButton make={() => text} onCopied={onCopied} />
      </div>
    </Box>
  );
}
