import { Button, PasswordInput, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useTranslation } from 'react-i18next';

import { authStore } from '../api/auth';
import { api } from '../api/client';
import { queryClient, useChange } from '../api/query';
import { type Session, sessionQuery } from '../app/session';
import { ProblemAlert } from './ProblemAlert';

/** The least length of a password, as the gateway asks for it. */
export const LEAST_PASSWORD = 10;

/** Changes one's own password; other places are signed out. */
export function PasswordForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: { current: '', password: '', repeated: '' },
    validate: {
      password: (text) => (text.length < LEAST_PASSWORD ? t('password.short', { count: LEAST_PASSWORD }) : null),
      repeated: (text, { password }) => (text === password ? null : t('password.differ')),
    },
  });
  const change = useChange(
    async ({ current, password }: typeof form.values) =>
      (await api.PUT('/admin/api/session/password', { body: { current, password } })).data as Session,
    {
      onDone: (session) => {
        form.reset();
        if (session?.csrf) {
          authStore.signedIn(session.csrf);
          queryClient.setQueryData(sessionQuery.queryKey, session);
        }
        void queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
        onDone();
      },
    },
  );
  return (
    <form onSubmit={form.onSubmit((values) => change.mutate(values))}>
      <Stack gap="sm">
        <PasswordInput label={t('password.current')} required autoComplete="current-password" {...form.getInputProps('current')} />
        <PasswordInput label={t('password.next')} required autoComplete="new-password" {...form.getInputProps('password')} />
        <PasswordInput label={t('password.repeat')} required autoComplete="new-password" {...form.getInputProps('repeated')} />
        <ProblemAlert problem={change.error} />
        <Button type="submit" loading={change.isPending}>
          {t('password.change')}
        </Button>
      </Stack>
    </form>
  );
}
