import { Modal, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { queryClient } from '../../api/query';
import { SignInForm } from '../../widgets/SignInForm';
import { useSession } from '../session';

/** The session has ended while the page was open: signing in again goes on where one was, with everything that was typed. */
export default function SignInAgain() {
  const { t } = useTranslation();
  const session = useSession();
  return (
    <Modal opened onClose={() => undefined} withCloseButton={false} closeOnEscape={false} title={t('signIn.again')} size="sm">
      <Text size="sm" mb="md">
        {t('signIn.againText')}
      </Text>
      <SignInForm
        name={session.name ?? undefined}
        onDone={(next) => {
          // Somebody else: nothing of what the other one saw may stay.
          if (next.name !== session.name) window.location.reload();
          else void queryClient.invalidateQueries();
        }}
      />
    </Modal>
  );
}
