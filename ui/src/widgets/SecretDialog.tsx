import { Button, Group, Modal, Stack } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { SecretOnce } from './SecretOnce';
import { useUnsaved } from './unsaved';

interface Props {
  title: string;
  secret: string;
  /** What the secret is. */
  label: string;
  /** The members of the address that say which entry is open, where the dialog goes with it. */
  entry?: string[];
  onClose: () => void;
  /** What to do with it; `taken` is called where it was copied along. */
  children?: (taken: () => void) => ReactNode;
  /** Where to go with it, beside the button that says that it is kept. */
  actions?: ReactNode;
}

/**
 * A secret that was just made, and is shown this once: only its own button closes the dialog, and whoever leaves the screen is asked first, as long as
 * it was not copied.
 */
export function SecretDialog({ title, secret, label, entry = [], onClose, children, actions }: Props) {
  const { t } = useTranslation();
  const [taken, setTaken] = useState(false);
  useUnsaved(!taken, ...entry);
  const take = () => setTaken(true);
  return (
    <Modal opened onClose={onClose} title={title} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false}>
      <Stack>
        {/* Copied by hand, or by a button. */}
        <div onCopy={take}>
          <SecretOnce secret={secret} label={label} onCopied={take} />
        </div>
        {children?.(take)}
        <Group justify="flex-end">
          {actions}
          <Button onClick={onClose}>{t('secretKept')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
