import { Button, Divider, Drawer, Group, NumberInput, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useChange } from '../../api/query';
import { useAct } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { Facts } from '../../widgets/Facts';
import { useFormat } from '../../widgets/format';
import { RulesSummary } from '../../widgets/rules/RulesSummary';
import { type Key, stateOf } from './key';
import { Used } from '../../widgets/Used';

const REFRESHES = ['/admin/api/keys', '/admin/api/quotas', '/admin/api/users', '/admin/api/teams'];

/** What is asked about before it is done, besides replacing its text. */
const ACTS = ['delete', 'disable'] as const;

/** Everything about a key, and what can be done with it. */
export function KeyDrawer({ of, onClose, onEdit, onRotated }: { of: Key; onClose: () => void; onEdit: () => void; onRotated: (key: Key) => void }) {
  const { t } = useTranslation(['keys', 'common']);
  const format = useFormat();
  const [asked, setAsked] = useState<(typeof ACTS)[number] | 'rotate' | null>(null);
  const [overlap, setOverlap] = useState<number | string>(24);
  const path = { params: { path: { id: of.id } } };
  const enable = useAct(() => api.POST('/admin/api/keys/{id}/enable', path), { refreshes: REFRESHES, done: t('common:saved') });
  const acts = {
    delete: useChange(() => api.DELETE('/admin/api/keys/{id}', path), { refreshes: REFRESHES, onDone: onClose }),
    disable: useChange(() => api.POST('/admin/api/keys/{id}/disable', path), { refreshes: REFRESHES, onDone: () => setAsked(null) }),
  };
  const rotate = useChange(
    async () => (await api.POST('/admin/api/keys/{id}/rotate', { ...path, body: { overlap_seconds: Math.round(Number(overlap) * 3600) } })).data as Key,
    { refreshes: REFRESHES, onDone: (key) => (setAsked(null), onRotated(key)) },
  );
  return (
    <>
      <Drawer opened onClose={onClose} title={<bdi>{of.name}</bdi>} closeButtonProps={{ 'aria-label': t('common:close') }}>
        <Stack>
          <Facts
            facts={[
              [t('key'), <code key="k">{of.masked}</code>],
              [t('state'), t(`states.${stateOf(of)}`)],
              [t('user'), of.user && <bdi>{of.user.name ?? of.user.id}</bdi>],
              [t('team'), of.team && <bdi>{of.team.name ?? of.team.id}</bdi>],
              [t('expires'), of.expires_at ? format.time(of.expires_at) : t('never')],
              [t('previous'), of.previous_good_until ? t('previousUntil', { time: format.time(of.previous_good_until) }) : null],
              [t('created'), format.time(of.created_at)],
              ['ID', <code key="id">{of.id}</code>],
            ]}
          />
          <Divider />
          <RulesSummary rules={of} />
          <Divider />
          <Used kind="key" of={of} />
          <Divider />
          <Group gap="xs">
            <Button onClick={onEdit}>{t('common:edit')}</Button>
            <Button variant="default" onClick={() => setAsked('rotate')}>
              {t('rotate')}
            </Button>
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
      <Confirm
        opened={asked === 'rotate'}
        onClose={() => (setAsked(null), rotate.reset())}
        title={t('rotateTitle', { name: of.name })}
        action={t('rotate')}
        onConfirm={() => rotate.mutate()}
        pending={rotate.isPending}
        problem={rotate.error}
        disabled={overlap === ''}
      >
        <Stack gap="sm">
          <Text size="sm">{t(Number(overlap) === 0 && overlap !== '' ? 'rotateAtOnce' : 'rotateText')}</Text>
          <NumberInput label={t('overlap')} min={0} max={2160} clampBehavior="strict" value={overlap} onChange={setOverlap} />
        </Stack>
      </Confirm>
    </>
  );
}
