import { Button, Group, Modal, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../api/problem';
import { ProblemAlert } from './ProblemAlert';

interface Props {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** What will be gone, and whether it comes back. */
  children: ReactNode;
  /** The word on the button: what happens, not "OK". */
  action: string;
  onConfirm: () => void;
  pending?: boolean;
  problem?: Problem | null;
  /** Has to be typed first, for what hurts most. */
  typed?: string;
  /** Something within is not as it has to be. */
  disabled?: boolean;
}

/** Asks before something is destroyed. */
export function Confirm({ opened, onClose, title, children, action, onConfirm, pending, problem, typed, disabled }: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="md" onExitTransitionEnd={() => setText('')}>
      <Text size="sm" component="div" mb="md">
        {children}
      </Text>
      {typed !== undefined && (
        <TextInput mb="md" label={t('confirm.type', { text: typed })} value={text} onChange={(event) => setText(event.currentTarget.value)} autoComplete="off" />
      )}
      <ProblemAlert problem={problem} />
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose} data-autofocus>
          {t('cancel')}
        </Button>
        <Button color="red.8" loading={pending} disabled={disabled || (typed !== undefined && text !== typed)} onClick={onConfirm}>
          {action}
        </Button>
      </Group>
    </Modal>
  );
}
