import { Button, Divider, Modal, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { authStore } from '../../api/auth';
import { api } from '../../api/client';
import { queryClient } from '../../api/query';
import { SignInForm } from '../../widgets/SignInForm';
import { clearForNext, OIDC_START, type Session, sessionQuery, setupQuery, useSession } from '../session';
import { useSignOut } from '../signOut';

/** The session has ended while the page was open: signing in again goes on where one was, with everything that was typed. */
export default function SignInAgain() {
  const { t } = useTranslation();
  const session = useSession();
  const { leave } = useSignOut();
  const goOn = (next: Session) => {
    if (next.kind !== session.kind || next.id !== session.id) clearForNext();
    void queryClient.invalidateQueries();
  };
  // Whoever signs in elsewhere in this browser is in here as well: with their organisation in another window, or by chance.
  const { data: setup } = useQuery({
    queryKey: [...setupQuery.queryKey, 'again'],
    queryFn: setupQuery.queryFn,
    enabled: session.kind === 'user',
    refetchInterval: 3_000,
    staleTime: 0,
    gcTime: 0,
  });
  const { data: found } = useQuery({
    queryKey: [...sessionQuery.queryKey, 'again'],
    queryFn: async () => (await api.GET('/admin/api/session')).data as Session,
    enabled: setup?.signed_in === true,
    gcTime: 0,
  });
  useEffect(() => {
    if (!found) return;
    authStore.signedIn(found.csrf);
    queryClient.setQueryData(sessionQuery.queryKey, found);
    goOn(found);
  }, [found]);
  return (
    <Modal opened onClose={() => undefined} withCloseButton={false} closeOnEscape={false} title={t('signIn.again')} size="sm">
      <Stack gap="sm">
        <Text size="sm">{t('signIn.againText')}</Text>
        <SignInForm name={session.name ?? undefined} onDone={goOn} />
        {setup?.oidc && (
          <>
            <Divider label={t('signIn.or')} />
            <Button component="a" href={OIDC_START} target="_blank" rel="noreferrer" variant="default">
              {t('signIn.oidc')}
            </Button>
            <Text size="xs" c="dimmed">
              {t('signIn.oidcAgain')}
            </Text>
          </>
        )}
        <Button variant="subtle" color="red" size="xs" onClick={() => void leave()}>
          {t('signIn.leave')}
        </Button>
      </Stack>
    </Modal>
  );
}
