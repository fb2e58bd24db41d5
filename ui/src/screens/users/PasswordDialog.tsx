import { Button, Checkbox, Group, Modal, PasswordInput, Radio, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useChange } from '../../api/query';
import { LEAST_PASSWORD } from '../../widgets/PasswordForm';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { SecretOnce } from '../../widgets/SecretOnce';
import type { User } from './user';

/** Gives somebody another password: one that is made and shown once, or one that is typed. */
export function PasswordDialog({ of, onClose }: { of: User; onClose: () => void }) {
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
  return (
    <Modal opened onClose={onClose} title={t('passwordOf', { name: of.name })} closeOnClickOutside={made === null} closeButtonProps={{ 'aria-label': t('common:close') }}>
      {made ? (
        <Stack>
          <SecretOnce secret={made} label={t('common:signIn.password')} />
          <Button onClick={onClose}>{t('common:close')}</Button>
        </Stack>
      ) : (
        <form onSubmit={(event) => (event.preventDefault(), set.mutate())}>
          <Stack>
            <Text size="sm">{t('passwordText')}</Text>
            <Radio.Group value={how} onChange={setHow} aria-label={t('passwordOf', { name: of.name })}>
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
                {t('common:cancel')}
              </Button>
              <Button type="submit" loading={set.isPending}>
                {t('setPassword')}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}
