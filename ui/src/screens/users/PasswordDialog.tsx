import { Button, Checkbox, Group, Modal, PasswordInput, Radio, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useChange } from '../../api/query';
import { LEAST_PASSWORD } from '../../widgets/PasswordForm';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { SecretDialog } from '../../widgets/SecretDialog';
import type { User } from './user';

interface Props {
  of: User;
  /** They were just made, and have none: not everybody needs one. */
  isNew?: boolean;
  onClose: () => void;
}

/** Gives somebody another password: one that is made and shown once, or one that is typed. */
export function PasswordDialog({ of, isNew, onClose }: Props) {
  const { t } = useTranslation(['users', 'common']);
  const [how, setHow] = useState('made');
  const [typed, setTyped] = useState('');
  const [mustChange, setMustChange] = useState(true);
  const [made, setMade] = useState<string | null>(null);
  const set = useChange(
    async () =>
      (
        await api.PUT('/admin/api/users/{id}/password', {
          params: { path: { id: of.id } },
          body: how === 'made' ? { must_change: mustChange } : { password: typed, must_change: mustChange },
        })
      ).data as Schemas['PasswordSet'],
    { refreshes: ['/admin/api/users'], onDone: ({ password }) => (password ? setMade(password) : onClose()) },
  );
  const title = t('passwordOf', { name: of.name });
  if (made) return <SecretDialog title={title} secret={made} label={t('common:signIn.password')} entry={['id']} onClose={onClose} />;
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ 'aria-label': t('common:close') }}>
      <form onSubmit={(event) => (event.preventDefault(), set.mutate())}>
        <Stack>
          <Text size="sm">{t(isNew ? 'passwordNew' : 'passwordText')}</Text>
          <Radio.Group value={how} onChange={setHow} aria-label={title}>
            <Stack gap="xs">
              <Radio value="made" label={t('passwordMade')} />
              <Radio value="typed" label={t('passwordTyped')} />
            </Stack>
          </Radio.Group>
          {how === 'typed' && (
            <PasswordInput
              label={t('common:password.next')}
              description={t('common:password.short', { count: LEAST_PASSWORD })}
              autoComplete="new-password"
              required
              minLength={LEAST_PASSWORD}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
            />
          )}
          <Checkbox label={t('mustChange')} checked={mustChange} onChange={(event) => setMustChange(event.currentTarget.checked)} />
          <ProblemAlert problem={set.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {isNew ? t('noPassword') : t('common:cancel')}
            </Button>
            <Button type="submit" loading={set.isPending}>
              {t('setPassword')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
