import { Button, Drawer, Group, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../api/problem';
import { ConflictAlert, GoneAlert } from './ConflictAlert';
import { ProblemAlert } from './ProblemAlert';

interface Props {
  opened: boolean;
  title: ReactNode;
  onClose: () => void;
  editor: {
    leave: (close: () => void) => void;
    saving: boolean;
    problem: Problem | null;
    conflict: boolean;
    submit: () => void;
    replace: () => void;
  };
  /** Shows what is there now, in place of what was typed. */
  onTake: () => void;
  /** Somebody else deleted it meanwhile. */
  gone?: boolean;
  action?: string;
  children: ReactNode;
}

/** A drawer with a form: it explains what went wrong beside the button. */
export function EditorDrawer({ opened, title, onClose, editor, onTake, gone, action, children }: Props) {
  const { t } = useTranslation();
  const close = () => editor.leave(onClose);
  return (
    <Drawer opened={opened} onClose={close} title={title} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          editor.submit();
        }}
      >
        <Stack>
          {children}
          {gone && <GoneAlert />}
          {editor.conflict && <ConflictAlert onTake={onTake} onReplace={editor.replace} pending={editor.saving} />}
          <ProblemAlert problem={editor.problem} />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={editor.saving}>
              {action ?? t('save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Drawer>
  );
}
