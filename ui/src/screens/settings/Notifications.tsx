import { ActionIcon, Badge, Button, Group, Stack, Switch, Text, Tooltip } from '@mantine/core';
import { IconEdit, IconPlus, IconSend, IconTrash } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useChange } from '../../api/query';
import { useTell } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { Deliveries } from './Deliveries';
import { type Hook, hooksOf, withHook } from './hooks';
import { HookForm } from './HookForm';
import { Prose } from './Prose';
import { type Settings, useSaveSettings, useSettings } from './useSettings';

const hooksIn = ({ settings }: Settings) => settings.find(({ path }) => path === 'notifications.webhooks');
const shownOf = (data: Settings) => ({ hooks: hooksOf(hooksIn(data)?.value), revision: data.revision });

/** Who is told when something needs somebody, and what was told. */
export function Notifications() {
  const { t } = useTranslation(['settings', 'common']);
  const tell = useTell();
  const { data, error, isPending, refetch } = useSettings();
  const [edited, setEdited] = useState<Hook | 'new'>();
  const [removed, setRemoved] = useState<Hook>();
  const save = useSaveSettings(() => {
    setRemoved(undefined);
    tell.done(t('common:saved'));
  });
  if (isPending) return <Waiting />;
  if (!data) return <ProblemAlert problem={error} onRetry={() => void refetch()} />;
  const setting = hooksIn(data);
  const { hooks } = shownOf(data);
  const editable = setting?.editable ?? false;
  const put = (next: Hook[], revision?: number) => save.mutate({ patch: { notifications: { webhooks: next.length > 0 ? next : null } }, revision });

  return (
    <Stack gap="md">
      <Panel
        title={t('hooks.title')}
        actions={
          editable && (
            <Button size="xs" leftSection={<IconPlus size={15} />} onClick={() => setEdited('new')}>
              {t('hooks.add')}
            </Button>
          )
        }
      >
        <Text size="sm" c="dimmed" mb="sm">
          {t('hooks.about')}
        </Text>
        {!editable && setting && (
          <Text size="sm" mb="sm">
            <Prose text={t(setting.owner === 'default' ? 'onlyFile' : `elsewhere.${setting.owner}`, { path: setting.path })} />
          </Text>
        )}
        {removed === undefined && <ProblemAlert problem={save.error} />}
        {hooks.length === 0 ? (
          <Empty title={t('hooks.none')}>{t('hooks.noneText')}</Empty>
        ) : (
          <Stack gap="xs">
            {hooks.map((hook) => (
              <HookRow
                key={hook.name}
                hook={hook}
                editable={editable}
                pending={save.isPending}
                onEdit={() => setEdited(hook)}
                onRemove={() => setRemoved(hook)}
                onSwitch={(enabled) => put(withHook(hooks, { ...hook, enabled }, hook.name), data.revision)}
              />
            ))}
          </Stack>
        )}
      </Panel>
      <Deliveries />
      {edited && (
        <HookForm
          hook={edited === 'new' ? undefined : edited}
          shown={shownOf(data)}
          onLook={async () => shownOf((await refetch({ throwOnError: true })).data as Settings)}
          onClose={() => setEdited(undefined)}
        />
      )}
      <Confirm
        opened={removed !== undefined}
        onClose={() => (setRemoved(undefined), save.reset())}
        title={t('hooks.remove')}
        action={t('common:delete')}
        pending={save.isPending}
        problem={save.error}
        onConfirm={() => put(hooks.filter(({ name }) => name !== removed?.name), data.revision)}
      >
        {t('hooks.removeText')} <bdi>{removed?.name}</bdi>
      </Confirm>
    </Stack>
  );
}

interface RowProps {
  hook: Hook;
  editable: boolean;
  pending: boolean;
  onEdit: () => void;
  onRemove: () => void;
  onSwitch: (enabled: boolean) => void;
}

function HookRow({ hook, editable, pending, onEdit, onRemove, onSwitch }: RowProps) {
  const { t } = useTranslation(['settings', 'common']);
  const format = useFormat();
  // An address may never answer.
  const trying = useRef<AbortController>(undefined);
  const test = useChange(
    async () => {
      trying.current = new AbortController();
      return (await api.POST('/admin/api/notifications/test', { body: { webhook: hook.name }, signal: trying.current.signal })).data as Schemas['NotificationSent'];
    },
    { refreshes: ['/admin/api/notifications'] },
  );
  const givenUp = test.error && trying.current?.signal.aborted;
  const sent = test.data;
  return (
    <div data-hook={hook.name} style={{ border: '1px solid var(--app-line)', borderRadius: 8, padding: '8px 12px' }}>
      <Group justify="space-between" gap="xs">
        <Group gap="sm" style={{ minWidth: 0 }}>
          <Switch
            size="sm"
            aria-label={t('hooks.switch', { name: hook.name })}
            checked={hook.enabled !== false}
            disabled={!editable || pending}
            onChange={(event) => onSwitch(event.currentTarget.checked)}
          />
          <div style={{ minWidth: 0 }}>
            <Text fw={600} size="sm">
              <bdi>{hook.name}</bdi>
            </Text>
            <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
              {hook.url} {!hook.secret && `· ${t('hooks.unsigned')}`}
            </Text>
          </div>
        </Group>
        <Group gap={4}>
          <Button size="compact-sm" variant="default" leftSection={<IconSend size={14} />} loading={test.isPending} onClick={() => test.mutate()}>
            {t('hooks.test')}
          </Button>
          {test.isPending && (
            <Button size="compact-sm" variant="subtle" color="gray" onClick={() => trying.current?.abort()}>
              {t('hooks.giveUp')}
            </Button>
          )}
          {editable && (
            <>
              <Icon label={`${t('common:edit')}: ${hook.name}`} icon={<IconEdit size={16} />} onClick={onEdit} />
              <Icon label={`${t('common:delete')}: ${hook.name}`} icon={<IconTrash size={16} />} onClick={onRemove} />
            </>
          )}
        </Group>
      </Group>
      <Group gap={4} mt={6}>
        {hook.events?.length ? hook.events.map((event) => <Badge key={event} size="sm" color="gray">{t(`events.${event.replace('.', '_')}`, { defaultValue: event })}</Badge>) : <Badge size="sm" color="gray">{t('hooks.everything')}</Badge>}
      </Group>
      <div role="status">
        {sent && (
          <Text size="sm" mt={6} component="div">
            <Badge color={sent.outcome === 'delivered' ? 'teal' : 'red'}>{t(`outcomes.${sent.outcome}`)}</Badge>{' '}
            {[sent.status && `HTTP ${sent.status}`, format.duration(sent.took_ms), sent.message].filter(Boolean).join(' · ')}
          </Text>
        )}
        {givenUp ? <Text size="sm" mt={6}>{t('hooks.givenUp')}</Text> : <ProblemAlert problem={test.error} />}
      </div>
    </div>
  );
}

function Icon({ label, icon, onClick }: { label: string; icon: React.ReactNode; onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={onClick}>
        {icon}
      </ActionIcon>
    </Tooltip>
  );
}
