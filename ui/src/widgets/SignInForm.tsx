import { Anchor, Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { authStore } from '../api/auth';
import { api } from '../api/client';
import { queryClient, useChange } from '../api/query';
import { type Session, sessionQuery } from '../app/session';
import { ProblemAlert } from './ProblemAlert';

/** Name and password, or an admin key, which stays in the memory of this page alone. */
export function SignInForm({ name, onDone }: { name?: string; onDone: (session: Session) => void }) {
  const { t } = useTranslation();
  const [byKey, setByKey] = useState(false);
  const form = useForm({ initialValues: { name: name ?? '', password: '', key: '' } });
  const signIn = useChange(
    async ({ name, password, key }: typeof form.values) => {
      if (!byKey) return { session: (await api.POST('/admin/api/session', { body: { name: name.trim(), password } })).data as Session };
      const adminKey = key.trim();
      return { session: (await api.GET('/admin/api/session', { headers: { authorization: `Bearer ${adminKey}` } })).data as Session, adminKey };
    },
    {
      onDone: ({ session, adminKey }) => {
        authStore.signedIn(session.csrf, adminKey);
        queryClient.setQueryData(sessionQuery.queryKey, session);
        form.setFieldValue('password', '');
        form.setFieldValue('key', '');
        onDone(session);
      },
    },
  );
  return (
    <form onSubmit={form.onSubmit((values) => signIn.mutate(values))}>
      <Stack gap="sm">
        {byKey ? (
          <PasswordInput
            label={t('signIn.key')}
            description={t('signIn.keyHint')}
            required
            autoComplete="off"
            data-autofocus
            {...form.getInputProps('key')}
          />
        ) : (
          <>
            <TextInput label={t('signIn.name')} required autoComplete="username" data-autofocus {...form.getInputProps('name')} />
            <PasswordInput label={t('signIn.password')} required autoComplete="current-password" {...form.getInputProps('password')} />
          </>
        )}
        <ProblemAlert problem={signIn.error} />
        <Button type="submit" loading={signIn.isPending} fullWidth>
          {t('signIn.do')}
        </Button>
        <Anchor component="button" type="button" size="sm" ta="center" onClick={() => (setByKey(!byKey), signIn.reset())}>
          {byKey ? t('signIn.byPassword') : t('signIn.byKey')}
        </Anchor>
      </Stack>
    </form>
  );
}
