import { Badge, Button, Divider, Drawer, Group, Stack } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useChange } from '../../api/query';
import { useMay, useSession } from '../../app/session';
import { useAct } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { Facts } from '../../widgets/Facts';
import { useFormat } from '../../widgets/format';
import { RulesSummary } from '../../widgets/rules/RulesSummary';
import { Used } from '../../widgets/Used';
import { PasswordDialog } from './PasswordDialog';
import type { User } from './user';

const REFRESHES = ['/admin/api/users', '/admin/api/teams', '/admin/api/keys', '/admin/api/quotas', '/admin/api/requests'];

/** What is asked about before it is done; where much is lost for good, the name has to be typed. */
const ACTS = ['delete', 'forget', 'signOut', 'disable'] as const;
const FOR_GOOD: readonly string[] = ['delete', 'forget'];

type Asked = (typeof ACTS)[number] | 'password' | null;

/** Everything about a user, and what can be done. */
export function UserDrawer({ of, onClose, onEdit }: { of: User; onClose: () => void; onEdit: () => void }) {
  const { t } = useTranslation(['users', 'common']);
  const format = useFormat();
  const session = useSession();
  const admin = useMay()('admin');
  // Managers see all of their team, and change its members alone.
  const mayChange = admin || of.role === 'member';
  const [asked, setAsked] = useState<Asked>(null);
  const path = { params: { path: { id: of.id } } };
  const enable = useAct(() => api.POST('/admin/api/users/{id}/enable', path), { refreshes: REFRESHES, done: t('common:saved') });
  const acts = {
    delete: useChange(() => api.DELETE('/admin/api/users/{id}', path), { refreshes: REFRESHES, onDone: onClose }),
    forget: useChange(() => api.POST('/admin/api/users/{id}/forget', path), { refreshes: REFRESHES, onDone: () => setAsked(null) }),
    signOut: useChange(() => api.DELETE('/admin/api/users/{id}/sessions', path), { refreshes: REFRESHES, onDone: () => setAsked(null) }),
    disable: useChange(() => api.POST('/admin/api/users/{id}/disable', path), { refreshes: REFRESHES, onDone: () => setAsked(null) }),
  };
  return (
    <>
      <Drawer opened onClose={onClose} title={<bdi>{of.name}</bdi>} closeButtonProps={{ 'aria-label': t('common:close') }}>
        <Stack>
          <Facts
            facts={[
              [t('role'), <Badge key="r">{t(`common:roles.${of.role}`)}</Badge>],
              [t('team'), of.team && <bdi>{of.team.name ?? of.team.id}</bdi>],
              [t('state'), of.enabled ? t('common:enabled') : t('common:disabled')],
              [t('keys'), <Link key="k" to="/keys" search={{ user: of.id } as never}>{format.number(of.keys)}</Link>],
              [t('created'), format.time(of.created_at)],
              ['ID', <code key="id">{of.id}</code>],
            ]}
          />
          <Divider />
          <RulesSummary rules={of} />
          <Divider />
          <Used kind="user" of={of} />
          <Divider />
          {mayChange && (
            <Group gap="xs">
              <Button onClick={onEdit}>{t('common:edit')}</Button>
              {admin && (
                <Button variant="default" onClick={() => setAsked('password')}>
                  {t('setPassword')}
                </Button>
              )}
              {of.enabled ? (
                <Button variant="default" onClick={() => setAsked('disable')} disabled={session.id === of.id}>
                  {t('common:disable')}
                </Button>
              ) : (
                <Button variant="default" loading={enable.isPending} onClick={() => enable.run()}>
                  {t('common:enable')}
                </Button>
              )}
            </Group>
          )}
          <Group gap="xs">
            <Button color="red" variant="light" onClick={() => setAsked('signOut')}>
              {t('signOut')}
            </Button>
            {admin && (
              <Button color="red" variant="light" onClick={() => setAsked('forget')}>
                {t('forget')}
              </Button>
            )}
            {mayChange && (
              <Button color="red" variant="light" onClick={() => setAsked('delete')} disabled={session.id === of.id}>
                {t('common:delete')}
              </Button>
            )}
          </Group>
        </Stack>
      </Drawer>
      {asked === 'password' && <PasswordDialog of={of} onClose={() => setAsked(null)} />}
      {ACTS.map((act) => (
        <Confirm
          key={act}
          opened={asked === act}
          onClose={() => (setAsked(null), acts[act].reset())}
          title={t(`${act}Title`, { name: of.name })}
          action={act === 'delete' || act === 'disable' ? t(`common:${act}`) : t(act)}
          onConfirm={() => acts[act].mutate()}
          pending={acts[act].isPending}
          problem={acts[act].error}
          typed={FOR_GOOD.includes(act) ? of.name : undefined}
        >
          {t(`${act}Text`)}
        </Confirm>
      ))}
    </>
  );
}
