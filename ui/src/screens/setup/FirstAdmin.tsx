import { Alert, Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useNavigate } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { authStore } from '../../api/auth';
import { api } from '../../api/client';
import { queryClient, useChange } from '../../api/query';
import { type Session, sessionQuery } from '../../app/session';
import { LEAST_PASSWORD } from '../../widgets/PasswordForm';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { tidyCode } from './code';

/** Makes the first admin with the code that the gateway showed when it started. */
export function FirstAdmin({ needed, onDone }: { needed: boolean; onDone: () => void }) {
  const { t } = useTranslation(['setup', 'common']);
  const navigate = useNavigate();
  const form = useForm({
    initialValues: { code: '', name: 'admin', password: '', repeated: '' },
    validate: {
      code: (text) => (tidyCode(text) ? null : t('codeForm')),
      name: (text) => (text.trim() ? null : t('nameNeeded')),
      password: (text) => (text.length < LEAST_PASSWORD ? t('common:password.short', { count: LEAST_PASSWORD }) : null),
      repeated: (text, { password }) => (text === password ? null : t('common:password.differ')),
    },
  });
  const make = useChange(
    async ({ code, name, password }: typeof form.values) =>
      (await api.POST('/admin/api/setup', { body: { code: tidyCode(code) ?? code, name: name.trim(), password } })).data as Session,
    {
      onDone: (session) => {
        authStore.signedIn(session.csrf);
        queryClient.setQueryData(sessionQuery.queryKey, session);
        form.reset();
        onDone();
      },
    },
  );
  if (!needed) {
    return (
      <Alert color="blue" title={t('notNeeded')}>
        <Text size="sm" mb="sm">
          {t('notNeededText')}
        </Text>
        <Button size="xs" onClick={() => void navigate({ to: '/sign-in' })}>
          {t('common:signIn.do')}
        </Button>
      </Alert>
    );
  }
  return (
    <form onSubmit={form.onSubmit((values) => make.mutate(values))}>
      <Stack gap="sm" maw={460}>
        <Text size="sm">{t('adminText')}</Text>
        <TextInput label={t('code')} description={t('codeHint')} placeholder="abcd-efgh-jkmn" required autoComplete="off" spellCheck={false} data-autofocus {...form.getInputProps('code')} />
        <TextInput label={t('common:signIn.name')} required autoComplete="username" {...form.getInputProps('name')} />
        <PasswordInput
          label={t('common:signIn.password')}
          description={t('common:password.short', { count: LEAST_PASSWORD })}
          required
          autoComplete="new-password"
          {...form.getInputProps('password')}
        />
        <PasswordInput label={t('common:password.repeat')} required autoComplete="new-password" {...form.getInputProps('repeated')} />
        <ProblemAlert problem={make.error} />
        <Button type="submit" loading={make.isPending} style={{ alignSelf: 'flex-start' }}>
          {t('makeAdmin')}
        </Button>
      </Stack>
    </form>
  );
}
