import { Button, Divider, Drawer, Group, Stack } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useChange } from '../../api/query';
import { useMay } from '../../app/session';
import { useAct } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { Facts } from '../../widgets/Facts';
import { useFormat } from '../../widgets/format';
import { RulesSummary } from '../../widgets/rules/RulesSummary';
import { Used } from '../../widgets/Used';
import type { Team } from './team';

const REFRESHES = ['/admin/api/teams', '/admin/api/users', '/admin/api/keys', '/admin/api/quotas'];

/** What is asked about before it is done. */
const ACTS = ['delete', 'disable'] as const;

/** Everything about a team, and what can be done. */
export function TeamDrawer({ of, onClose, onEdit }: { of: Team; onClose: () => void; onEdit: () => void }) {
  const { t } = useTranslation(['teams', 'common']);
  const format = useFormat();
  const admin = useMay()('admin');
  const [asked, setAsked] = useState<(typeof ACTS)[number] | null>(null);
  const path = { params: { path: { id: of.id } } };
  const enable = useAct(() => api.POST('/admin/api/teams/{id}/enable', path), { refreshes: REFRESHES, done: t('common:saved') });
  const acts = {
    delete: useChange(() => api.DELETE('/admin/api/teams/{id}', path), { refreshes: REFRESHES, onDone: onClose }),
    disable: useChange(() => api.POST('/admin/api/teams/{id}/disable', path), { refreshes: REFRESHES, onDone: () => setAsked(null) }),
  };
  return (
    <>
      <Drawer opened onClose={onClose} title={<bdi>{of.name}</bdi>} closeButtonProps={{ 'aria-label': t('common:close') }}>
        <Stack>
          <Facts
            facts={[
              [t('state'), of.enabled ? t('common:enabled') : t('common:disabled')],
              [t('users'), <Link key="u" to="/users" search={{ team: of.id } as never}>{format.number(of.users)}</Link>],
              [t('keys'), <Link key="k" to="/keys" search={{ team: of.id } as never}>{format.number(of.keys)}</Link>],
              [t('created'), format.time(of.created_at)],
              ['ID', <code key="id">{of.id}</code>],
            ]}
          />
          <Divider />
          <RulesSummary rules={of} />
          <Divider />
          <Used kind="team" of={of} />
          {admin && (
            <>
              <Divider />
              <Group gap="xs">
                <Button onClick={onEdit}>{t('common:edit')}</Button>
                {of.enabled ? (
                  <Button variant="default" onClick={() => setAsked('disable')}>
                    {t('common:disable')}
                  </Button>
                ) : (
                  <Button variant="default" loading={enable.isPending} onClick={() => enable.run()}>
                    {t('common:enable')}
                  </Button>
                )}
                <Button color="red" variant="light" onClick={() => setAsked('delete')}>
                  {t('common:delete')}
                </Button>
              </Group>
            </>
          )}
        </Stack>
      </Drawer>
      {ACTS.map((act) => (
        <Confirm
          key={act}
          opened={asked === act}
          onClose={() => (setAsked(null), acts[act].reset())}
          title={t(`${act}Title`, { name: of.name })}
          action={t(`common:${act}`)}
          onConfirm={() => acts[act].mutate()}
          pending={acts[act].isPending}
          problem={acts[act].error}
        >
          {t(`${act}Text`)}
        </Confirm>
      ))}
    </>
  );
}
