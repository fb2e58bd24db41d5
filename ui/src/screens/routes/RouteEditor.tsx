import { Alert, Badge, Button, Collapse, Group, List, Stack, Switch, Text, UnstyledButton } from '@mantine/core';
import { IconAlertTriangle, IconChevronDown, IconChevronRight, IconLock, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import type { Problem } from '../../api/problem';
import { useChange } from '../../api/query';
import { useAct, useTell } from '../../widgets/act';
import { ConflictAlert, GoneAlert } from '../../widgets/ConflictAlert';
import { Confirm } from '../../widgets/confirm';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useEditor } from '../../widgets/useEditor';
import { RareFields } from './RareFields';
import { type Draft, draftOf, EMPTY, isEmpty, keyOf, type Route, TIME } from './route';
import { REFRESHES, saveRoute } from './save';
import { TryRoute } from './TryRoute';
import { WhenFields } from './WhenFields';

interface Props {
  /** The route as it is now; nothing where one is made. */
  route?: Route;
  /** Somebody else deleted it meanwhile. */
  gone?: boolean;
  initial?: Draft;
  onDone: () => void;
  reload: () => unknown;
}

/** A route, as a form. What is rarely changed is folded. */
export function RouteEditor(props: Props) {
  // Looking at what is there now begins anew with it.
  const [round, setRound] = useState({ at: 0, route: props.route });
  const look = useChange(async () => (await api.GET('/admin/api/routes/{id}', { params: { path: { id: props.route ? keyOf(props.route) : '' } } })).data as Route, {
    onDone: (route) => {
      props.reload();
      setRound(({ at }) => ({ at: at + 1, route }));
    },
  });
  return <Form key={round.at} {...props} now={props.route} route={round.route} onTake={() => look.mutate()} unseen={look.error} />;
}

/** Which times are none. */
export function wrongTimes(draft: Draft): (keyof Draft)[] {
  return (['patience', 'maxWait', 'minDelay'] as const).filter((name) => draft[name].trim() !== '' && !TIME.test(draft[name].trim()));
}

/** `route` is what the form was opened with, `now` what it is; `unseen` why that could not be looked at. */
function Form({ route, now, gone, initial, onDone, onTake, unseen }: Props & { now?: Route; onTake: () => void; unseen: Problem | null }) {
  const { t } = useTranslation(['routes', 'common']);
  const tell = useTell();
  const start = route ? draftOf(route) : (initial ?? EMPTY);
  const readOnly = route !== undefined && route.origin !== 'database';
  const [rare, setRare] = useState(JSON.stringify(rareOf(start)) !== JSON.stringify(rareOf(EMPTY)));
  const [asking, setAsking] = useState(false);
  const editor = useEditor<Draft, Route>({
    initial: start,
    revision: route?.revision,
    save: (draft, revision) => saveRoute(draft, route, revision),
    refreshes: REFRESHES,
    entry: ['open'],
    onDone: () => {
      tell.done(t('saved'));
      onDone();
    },
    valid: (draft) => draft.to.trim() !== '' && !isEmpty(draft.when) && wrongTimes(draft).length === 0,
  });
  const { draft, dirty } = editor;
  const path = { params: { path: { id: route?.id ?? '' } } };
  const turn = useAct(async (on: boolean) => (await api.POST(on ? '/admin/api/routes/{id}/enable' : '/admin/api/routes/{id}/disable', path)).data as Route, {
    refreshes: REFRESHES,
    onDone: ({ revision }) => editor.rebase(revision),
  });
  const remove = useChange<void>(() => api.DELETE('/admin/api/routes/{id}', path), { refreshes: REFRESHES, onDone: () => (editor.settle(), onDone()) });
  return (
    <Stack gap="md">
      {readOnly && (
        <Alert color="gray" variant="light" icon={<IconLock size={18} />}>
          {t('fileOwned')}
        </Alert>
      )}
      {now && now.enabled !== false && (now.problems?.length ?? 0) > 0 && (
        <Alert color="red" variant="light" icon={<IconAlertTriangle />} title={t('broken')}>
          <List size="sm">
            {now.problems?.map((problem, at) => (
              <List.Item key={at}>
                {problem.path && <code>{problem.path} </code>}
                {problem.message}
                {problem.remedy && <> — {problem.remedy}</>}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
      {!readOnly && (
        <Group justify="space-between">
          <Switch
            label={t('inUse')}
            checked={now ? now.enabled !== false : draft.enabled}
            onChange={(event) => (route ? turn.run(event.currentTarget.checked) : editor.set({ enabled: event.currentTarget.checked }))}
            disabled={turn.isPending}
          />
          {route && (
            <Button variant="subtle" color="red" size="xs" leftSection={<IconTrash size={15} />} onClick={() => setAsking(true)}>
              {t('common:delete')}
            </Button>
          )}
        </Group>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          editor.submit();
        }}
      >
        <Stack gap="md">
          <WhenFields draft={draft} set={editor.set} errors={editor.fieldErrors} touched={editor.touched} readOnly={readOnly} />
          <div>
            <UnstyledButton onClick={() => setRare(!rare)} aria-expanded={rare} mb="xs">
              <Group gap={6}>
                {rare ? <IconChevronDown size={16} /> : <IconChevronRight size={16} />}
                <Text size="sm" fw={600}>
                  {t('rare.title')}
                </Text>
                <Text size="xs" c="dimmed">
                  {t('rare.about')}
                </Text>
              </Group>
            </UnstyledButton>
            <Collapse expanded={rare}>
              <RareFields draft={draft} set={editor.set} errors={editor.fieldErrors} readOnly={readOnly} />
            </Collapse>
          </div>
          {gone && <GoneAlert />}
          {editor.conflict && <ConflictAlert onTake={onTake} onReplace={editor.replace} pending={editor.saving} />}
          <ProblemAlert problem={editor.conflict ? unseen : editor.problem} />
          {!readOnly && (
            <Group justify="flex-end">
              {dirty && <Badge color="orange">{t('unsaved')}</Badge>}
              <Button type="submit" loading={editor.saving && !editor.conflict} disabled={(route !== undefined && !dirty) || turn.isPending}>
                {route ? t('common:save') : t('create')}
              </Button>
            </Group>
          )}
        </Stack>
      </form>
      <TryRoute draft={draft} index={route?.index ?? null} saved={route !== undefined && !dirty} />
      <Confirm opened={asking} onClose={() => (setAsking(false), remove.reset())} title={t('remove.title')} action={t('common:delete')} onConfirm={() => remove.mutate()} pending={remove.isPending} problem={remove.error}>
        {t('remove.text')}
      </Confirm>
    </Stack>
  );
}

function rareOf({ mode, keys, attempts, patience, maxWait, hedge, disconnect, capture }: Draft): unknown[] {
  return [mode, keys, attempts, patience, maxWait, hedge, disconnect, capture];
}
