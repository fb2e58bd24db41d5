import { ActionIcon, Box, Button, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import classes from './Copy.module.css';

/** A small button that copies. */
export function CopyIcon({ text, label }: { text: string; label?: string }) {
  const { t } = useTranslation();
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t('copied') : (label ?? t('copy'))}>
          <ActionIcon variant="subtle" color={copied ? 'teal' : 'gray'} onClick={copy} aria-label={label ?? t('copy')}>
            {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** Program text, with a button that copies it. */
export function Code({ text, label, maxHeight }: { text: string; label?: string; maxHeight?: number }) {
  const { t } = useTranslation();
  return (
    <Box className={classes.box}>
      <pre className={classes.code} style={{ maxHeight }} tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Button className={classes.copy} size="compact-xs" variant="default" onClick={copy} leftSection={copied ? <IconCheck size={13} /> : <IconCopy size={13} />}>
            {copied ? t('copied') : t('copy')}
          </Button>
        )}
      </CopyButton>
    </Box>
  );
}
