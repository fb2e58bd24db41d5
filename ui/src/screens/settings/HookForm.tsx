import { Alert, Button, Checkbox, Drawer, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChange } from '../../api/query';
import { useTell } from '../../widgets/act';
import { ConflictAlert } from '../../widgets/ConflictAlert';
import { CopyIcon } from '../../widgets/Copy';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useFocusBack } from '../../widgets/useFocusBack';
import { useUnsaved } from '../../widgets/unsaved';
import { draftOfHook, EVENTS, type Hook, type HookDraft, hookOf, mistakesOf, newSecret, withHook } from './hooks';
import { useSaveSettings } from './useSettings';

/** All addresses, and the revision of the settings that they stand in. */
interface Shown {
  hooks: Hook[];
  revision: number;
}

interface Props {
  hook: Hook | undefined;
  /** As they were when the form was opened: a change of somebody else is not overwritten unseen. */
  shown: Shown;
  /** As they are now. */
  onLook: () => Promise<Shown>;
  onClose: () => void;
}

/** An address, new or as it was. What was typed stays, whatever the gateway says. */
export function HookForm({ hook, shown, onLook, onClose }: Props) {
  const { t } = useTranslation(['settings', 'common']);
  const tell = useTell();
  useFocusBack(true);
  const [draft, setDraft] = useState(() => draftOfHook(hook));
  const [base, setBase] = useState(shown);
  const { hooks } = base;
  const unsaved = useUnsaved(JSON.stringify(draft) !== JSON.stringify(draftOfHook(hook)), 'tab');
  const close = () => void unsaved.leave(onClose);
  const [tried, setTried] = useState(false);
  const save = useSaveSettings(() => {
    tell.done(t('common:saved'));
    unsaved.settle();
    onClose();
  });
  const mistakes = tried ? mistakesOf(draft, hooks, hook) : {};
  const place = Math.max(0, hook ? hooks.findIndex(({ name }) => name === hook.name) : hooks.length);
  const refused = save.error?.fieldErrors() ?? {};
  const members = ['name', 'url', 'secret', 'events'] as const;
  const pathsOf = (member: string) => [`notifications.webhooks.${place}.${member}`, `notifications.webhooks[${place}].${member}`];
  const errorOf = (member: (typeof members)[number]) => {
    const mistake = member === 'events' ? undefined : mistakes[member];
    return mistake ? t(`hooks.mistakes.${mistake}`) : pathsOf(member).map((path) => refused[path]).find(Boolean);
  };
  const set = (next: Partial<HookDraft>) => {
    setDraft({ ...draft, ...next });
    save.reset();
  };
  const send = ({ hooks, revision }: Shown) => {
    setTried(true);
    if (Object.keys(mistakesOf(draft, hooks, hook)).length > 0) return;
    save.mutate({ patch: { notifications: { webhooks: withHook(hooks, hookOf(draft, hook), hook?.name) } }, revision });
  };
  // The list is saved as a whole: even who replaces must not lose what others have added to it.
  const look = useChange(async (_then: 'take' | 'replace') => onLook(), {
    onDone: (now, then) => {
      setBase(now);
      if (then === 'take') save.reset();
      else send(now);
    },
  });
  const stale = save.error?.code === 'stale';
  return (
    <Drawer opened onClose={close} size="md" title={hook ? t('hooks.edit') : t('hooks.add')} closeButtonProps={{ 'aria-label': t('common:close') }}>
      <form noValidate onSubmit={(event) => (event.preventDefault(), send(base))}>
        <Stack gap="sm">
          <TextInput label={t('hooks.name')} required value={draft.name} error={errorOf('name')} onChange={(event) => set({ name: event.currentTarget.value })} data-autofocus />
          <TextInput
            label={t('hooks.url')}
            description={t('hooks.urlHint')}
            required
            type="url"
            value={draft.url}
            error={errorOf('url')}
            onChange={(event) => set({ url: event.currentTarget.value })}
          />
          <TextInput
            label={t('hooks.secret')}
            description={hook?.secret ? t('hooks.secretKept', { secret: hook.secret }) : t('hooks.secretHint')}
            value={draft.secret}
            error={errorOf('secret')}
            disabled={draft.noSecret}
            onChange={(event) => set({ secret: event.currentTarget.value })}
            autoComplete="off"
            spellCheck={false}
            rightSection={draft.secret ? <CopyIcon text={draft.secret} /> : undefined}
          />
          <Group gap="md">
            <Button size="compact-xs" variant="default" disabled={draft.noSecret} onClick={() => set({ secret: newSecret() })}>
              {t('hooks.makeSecret')}
            </Button>
            {hook?.secret && <Checkbox size="xs" label={t('hooks.noSecret')} checked={draft.noSecret} onChange={(event) => set({ noSecret: event.currentTarget.checked, secret: '' })} />}
          </Group>
          <Checkbox.Group label={t('hooks.events')} description={t('hooks.eventsHint')} value={draft.events} error={errorOf('events')} onChange={(events) => set({ events })}>
            <Stack gap={6} mt={6}>
              {EVENTS.map((event) => (
                <Checkbox key={event} size="sm" value={event} label={<>{t(`events.${event.replace('.', '_')}`)} <Text span size="xs" c="dimmed">{event}</Text></>} />
              ))}
            </Stack>
          </Checkbox.Group>
          <Switch label={t('hooks.enabled')} checked={draft.enabled} onChange={(event) => set({ enabled: event.currentTarget.checked })} />
          {stale && <ConflictAlert onTake={() => look.mutate('take')} onReplace={() => look.mutate('replace')} pending={look.isPending || save.isPending} />}
          <ProblemAlert problem={stale ? look.error : save.error} />
          {draft.secret && <Alert color="orange" variant="light">{t('hooks.copySecret')}</Alert>}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('common:cancel')}
            </Button>
            <Button type="submit" loading={save.isPending}>
              {t('common:save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Drawer>
  );
}
