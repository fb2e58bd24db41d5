import { Alert, Badge, Button, Group, Stack, Text } from '@mantine/core';
import { IconArrowBackUp, IconArrowForwardUp, IconDeviceFloppy, IconLock } from '@tabler/icons-react';
import { useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, ifMatch } from '../../api/client';
import { useChange } from '../../api/query';
import { useTell } from '../../widgets/act';
import { ConflictAlert, GoneAlert } from '../../widgets/ConflictAlert';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useUnsaved } from '../../widgets/unsaved';
import { go, redo, start, undo } from './history';
import { definitionOf, type Draft, draftOf, emptyDraft, type Pool, same } from './pool';
import { PoolForm } from './PoolForm';
import { PoolHead } from './PoolHead';
import classes from './Pools.module.css';

interface Props {
  /** The pool; nothing where one is made. */
  pool?: Pool;
  /** Somebody else deleted it meanwhile. */
  gone?: boolean;
  initial?: Draft;
  pools: Pool[];
  onDone: (pool: Pool) => void;
  onGone: () => void;
}

const REFRESHES = ['/admin/api/pools', '/admin/api/models', '/admin/api/routes', '/admin/api/problems'];

/** A pool, changed as a whole: every step can be taken back until it is saved. */
export function PoolEditor({ pool, gone, initial, pools, onDone, onGone }: Props) {
  const { t } = useTranslation(['pools', 'common']);
  const tell = useTell();
  // What the pool was like when the changes began; what others do meanwhile shows when it is saved.
  const [base, setBase] = useState(pool);
  const [saved, setSaved] = useState(() => (pool ? draftOf(pool) : (initial ?? emptyDraft('', []))));
  const [history, setHistory] = useState(() => start(saved));
  const draft = history.now;
  const dirty = !same(draft, saved) || (!pool && draft.rows.length > 1);
  const readOnly = pool !== undefined && pool.origin !== 'database';
  const { settle } = useUnsaved(dirty, 'open', 'new');
  const take = (next: Pool) => {
    const draft = draftOf(next);
    setBase(next);
    setSaved(draft);
    setHistory(start(draft));
  };
  // Somebody else's change is taken over at once where nothing of one's own would be lost. What was read before it was saved is older, and no change;
  // a change of what is not edited here, such as being switched off, is none that could be overwritten.
  useEffect(() => {
    if (!pool || !base || (pool.revision ?? 0) <= (base.revision ?? 0)) return;
    if (!dirty) take(pool);
    else if (same(draftOf(pool), saved)) setBase(pool);
  }, [pool, base, dirty, saved]);

  const save = useChange<{ anyway: boolean }, Pool>(
    async ({ anyway }) => {
      if (!base) return (await api.POST('/admin/api/pools', { body: definitionOf(draft, false) as never })).data as Pool;
      const { data } = await api.PATCH('/admin/api/pools/{id}', {
        params: { path: { id: base.id ?? base.name } },
        headers: anyway ? {} : ifMatch(base.revision),
        body: definitionOf(draft, true) as never,
      });
      return data as Pool;
    },
    {
      refreshes: REFRESHES,
      onDone: (pool) => {
        take(pool);
        tell.done(t('saved', { name: pool.name }));
        settle();
        onDone(pool);
      },
    },
  );
  const conflict = save.error?.status === 412;
  const look = useChange(async () => (await api.GET('/admin/api/pools/{id}', { params: { path: { id: base?.id ?? draft.name } } })).data as Pool, {
    refreshes: ['/admin/api/pools'],
    onDone: (now) => {
      save.reset();
      take(now);
    },
  });
  const change = (next: Partial<Draft>, joins = false) => {
    if (save.error) save.reset();
    setHistory((history) => go(history, { ...history.now, ...next }, joins && history.past.length > 0 && lastJoined.is === Object.keys(next).join()));
    lastJoined.is = joins ? Object.keys(next).join() : '';
  };
  const [lastJoined] = useState({ is: '' });
  const definition = useMemo(() => ({ ...definitionOf(draft, false), name: draft.name.trim() || 'new' }), [draft]);
  const ready = draft.name.trim() !== '' && draft.rows.some((row) => row.kind === 'target');

  return (
    <Stack
      gap="md"
      onKeyDown={(event) => {
        if (!(event.ctrlKey || event.metaKey) || readOnly || event.target instanceof HTMLInputElement) return;
        if (event.key === 'z' && !event.shiftKey) setHistory(undo);
        else if (event.key === 'y' || (event.key.toLowerCase() === 'z' && event.shiftKey)) setHistory(redo);
        else return;
        event.preventDefault();
      }}
    >
      {readOnly && (
        <Alert color="gray" variant="light" icon={<IconLock size={18} />}>
          {t('fileOwned')}
        </Alert>
      )}
      {pool && <PoolHead pool={pool} onGone={() => (settle(), onGone())} refreshes={REFRESHES} />}
      <PoolForm draft={draft} change={change} making={!pool} readOnly={readOnly} pools={pools} definition={definition} errors={save.error && !conflict ? save.error.fieldErrors() : {}} />
      {gone && <GoneAlert />}
      {conflict && <ConflictAlert onTake={() => look.mutate()} onReplace={() => save.mutate({ anyway: true })} pending={save.isPending} />}
      <ProblemAlert problem={conflict ? look.error : save.error} />
      {!readOnly && (
        <div className={classes.unsaved}>
          <Group justify="space-between" gap="xs">
            <Group gap={4}>
              <Button variant="subtle" color="gray" size="xs" leftSection={<IconArrowBackUp size={15} />} disabled={history.past.length === 0} onClick={() => setHistory(undo)}>
                {t('undo')}
              </Button>
              <Button variant="subtle" color="gray" size="xs" leftSection={<IconArrowForwardUp size={15} />} disabled={history.future.length === 0} onClick={() => setHistory(redo)}>
                {t('redo')}
              </Button>
              {dirty ? <Badge color="orange">{t('unsaved')}</Badge> : <Text size="xs" c="dimmed">{pool ? t('allSaved') : ''}</Text>}
            </Group>
            <Group gap="xs">
              {dirty && pool && (
                <Button variant="default" size="xs" onClick={() => setHistory((history) => go(history, saved))}>
                  {t('discard')}
                </Button>
              )}
              <Button size="xs" leftSection={<IconDeviceFloppy size={15} />} disabled={!ready || (pool !== undefined && !dirty)} loading={save.isPending && !conflict} onClick={() => save.mutate({ anyway: false })}>
                {pool ? t('common:save') : t('create')}
              </Button>
            </Group>
          </Group>
        </div>
      )}
    </Stack>
  );
}
