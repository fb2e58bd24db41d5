import { Anchor, Checkbox, List, Progress, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, ifMatch } from '../../api/client';
import { getJson } from '../../api/list';
import { Problem } from '../../api/problem';
import { useChange, useRefresh } from '../../api/query';
import { useTell } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { eachOf } from '../credentials/import/batches';
import type { Provider } from './columns';

/** How many of the credentials are gone. */
interface Gone {
  done: number;
  of: number;
}

/** Asks before a provider is deleted, and says what still needs it. */
export function DeleteProvider({ provider, onClose, onDone }: { provider: Provider | null; onClose: () => void; onDone: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const tell = useTell();
  const refresh = useRefresh();
  const [withKeys, setWithKeys] = useState(false);
  const [gone, setGone] = useState<Gone | null>(null);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const remove = useChange(
    async ({ provider, withKeys }: { provider: Provider; withKeys: boolean }) => {
      const mine = (stop.current = new AbortController());
      const { signal } = mine;
      const show = (gone: Gone | null) => {
        if (stop.current === mine) setGone(gone);
      };
      show(withKeys ? { done: 0, of: provider.credentials ?? 0 } : null);
      try {
        if (withKeys) await deleteCredentials(provider, signal, show);
        if (signal.aborted) return false;
        await api.DELETE('/admin/api/providers/{id}', { params: { path: { id: provider.name } }, headers: ifMatch(provider.revision) });
        return true;
      } finally {
        // Some may be gone even where it ends half way.
        void refresh('/admin/api/providers', '/admin/api/credentials', '/admin/api/models', '/admin/api/status');
      }
    },
    {
      onDone: (deleted, { provider }) => {
        if (!deleted) return;
        tell.done(t('delete.done', { name: provider.name }));
        setWithKeys(false);
        setGone(null);
        onDone();
      },
    },
  );
  const running = remove.isPending && gone !== null;
  const close = () => {
    // What is under way stops first, and what it has done is told; whoever closes it once more does not wait for that.
    const waits = running && !stop.current.signal.aborted;
    stop.current.abort();
    if (waits) return;
    stop.current = new AbortController();
    remove.reset();
    setWithKeys(false);
    setGone(null);
    onClose();
  };
  const needed = remove.error?.code === 'referenced' ? remove.error : null;
  // Only when nothing else is in the way: otherwise keys would be gone and the provider still there.
  const keysAlone = needed !== null && needed.errors.every((entry) => entry.kind === 'credential');
  return (
    <Confirm
      opened={provider !== null}
      onClose={close}
      title={t('delete.title', { name: provider?.name ?? '' })}
      action={withKeys ? t('delete.withKeys') : t('common:delete')}
      pending={remove.isPending}
      onConfirm={() => provider && remove.mutate({ provider, withKeys })}
    >
      <Text size="sm" mb="sm">
        {t('delete.text')}
      </Text>
      {needed ? <NeededBy problem={needed} /> : <ProblemAlert problem={remove.error} />}
      {gone && (
        <>
          {running && <Progress value={gone.of > 0 ? (gone.done / gone.of) * 100 : 0} animated mt="sm" aria-label={t('delete.progress')} />}
          <Text size="sm" mt="sm" role="status">
            {t(running ? 'delete.gone' : 'delete.stopped', { done: gone.done, of: gone.of })}
          </Text>
        </>
      )}
      {(keysAlone || withKeys) && (
        <Checkbox
          mt="sm"
          label={t('delete.keysToo', { count: provider?.credentials ?? 0 })}
          checked={withKeys}
          disabled={remove.isPending}
          onChange={(event) => setWithKeys(event.currentTarget.checked)}
        />
      )}
    </Confirm>
  );
}

/**
 * Those of a provider that the database declares, until `signal` ends it; none of them where the provider itself would not be deleted, because somebody
 * changed it.
 */
async function deleteCredentials({ name, revision }: Provider, signal: AbortSignal, onGone: (gone: Gone) => void): Promise<void> {
  const { data: now } = await api.GET('/admin/api/providers/{id}', { params: { path: { id: name } } });
  if (now?.revision !== revision) throw new Problem({ code: 'stale', status: 412 });
  const all: { id: string }[] = [];
  for (let after: string | null | undefined; after !== null && !signal.aborted; ) {
    const page: { credentials: { id: string }[]; next?: string | null } = await getJson('/admin/api/credentials', { provider: name, origin: 'database', limit: 500, after });
    all.push(...page.credentials);
    after = page.next ?? null;
  }
  let done = 0;
  let failed: Problem | undefined;
  const either = new AbortController();
  await eachOf(all, 4, AbortSignal.any([signal, either.signal]), async ({ id }) => {
    try {
      await api.DELETE('/admin/api/credentials/{id}', { params: { path: { id } } });
    } catch (error) {
      // Somebody else was faster, or it cannot be done at all.
      if (Problem.of(error).status !== 404) {
        failed = Problem.of(error);
        either.abort();
        return;
      }
    }
    done += 1;
    onGone({ done, of: all.length });
  });
  if (failed) throw failed;
}

const PLACES: Record<string, string> = { pool: '/pools', route: '/routes', credential: '/credentials' };

/** What refers to something that was to be deleted, with the way there. */
export function NeededBy({ problem }: { problem: Problem }) {
  const { t } = useTranslation(['providers', 'common']);
  return (
    <div role="alert">
      <Text size="sm" fw={600} c="red">
        {t('delete.needed')}
      </Text>
      <List size="sm" mt={4}>
        {problem.errors.map((entry, at) => {
          const place = PLACES[entry.kind ?? ''];
          const open = entry.kind === 'pool' ? entry.name : entry.id;
          return (
            <List.Item key={at}>
              {t(`kinds.${entry.kind ?? 'other'}`, { defaultValue: entry.kind ?? '' })}{' '}
              {place ? (
                <Anchor renderRoot={(props) => <Link to={place} search={{ open } as never} {...props} />} size="sm">
                  <bdi>{entry.name ?? entry.id}</bdi>
                </Anchor>
              ) : (
                <bdi>{entry.name ?? entry.id}</bdi>
              )}
            </List.Item>
          );
        })}
      </List>
    </div>
  );
}
