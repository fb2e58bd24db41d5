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
import type { Team } from './team';

const REFRESHES = ['/admin/api/teams', '/admin/api/users', '/admin/api/keys', '/admin/api/quotas'];

/** Everything about a team, and what can be done. */
export function TeamDrawer({ of, onClose, onEdit }: { of: Team; onClose: () => void; onEdit: () => void }) {
  const { t } = useTranslation(['teams', 'common']);
  const format = useFormat();
  const admin = useMay()('admin');
  const [deleting, setDeleting] = useState(false);
  const path = { params: { path: { id: of.id } } };
  const toggle = useAct(() => api.POST(of.enabled ? '/admin/api/teams/{id}/disable' : '/admin/api/teams/{id}/enable', path), {
    refreshes: REFRESHES,
    done: t('common:saved'),
  });
  const remove = useChange(() => api.DELETE('/admin/api/teams/{id}', path), { refreshes: REFRESHES, onDone: onClose });
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
          {admin && (
            <>
              <Divider />
              <Group gap="xs">
                <Button onClick={onEdit}>{t('common:edit')}</Button>
                <Button variant="default" loading={toggle.isPending} onClick={() => toggle.run()}>
                  {of.enabled ? t('common:disable') : t('common:enable')}
                </Button>
                <Button color="red" variant="light" onClick={() => setDeleting(true)}>
                  {t('common:delete')}
                </Button>
              </Group>
            </>
          )}
        </Stack>
      </Drawer>
      <Confirm
        opened={deleting}
        onClose={() => (setDeleting(false), remove.reset())}
        title={t('deleteTitle', { name: of.name })}
        action={t('common:delete')}
        onConfirm={() => remove.mutate()}
        pending={remove.isPending}
        problem={remove.error}
      >
        {t('deleteText')}
      </Confirm>
    </>
  );
}
