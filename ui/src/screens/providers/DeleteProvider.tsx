import { Anchor, Checkbox, List, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, ifMatch } from '../../api/client';
import { getJson } from '../../api/list';
import { Problem } from '../../api/problem';
import { useChange } from '../../api/query';
import { useTell } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { eachOf } from '../credentials/import/batches';
import type { Provider } from './columns';

/** Asks before a provider is deleted, and says what still needs it. */
export function DeleteProvider({ provider, onClose, onDone }: { provider: Provider | null; onClose: () => void; onDone: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const tell = useTell();
  const [withKeys, setWithKeys] = useState(false);
  const remove = useChange(
    async ({ provider, withKeys }: { provider: Provider; withKeys: boolean }) => {
      if (withKeys) await deleteCredentials(provider);
      await api.DELETE('/admin/api/providers/{id}', { params: { path: { id: provider.name } }, headers: ifMatch(provider.revision) });
    },
    {
      refreshes: ['/admin/api/providers', '/admin/api/credentials', '/admin/api/models', '/admin/api/status'],
      onDone: (_, { provider }) => {
        tell.done(t('delete.done', { name: provider.name }));
        setWithKeys(false);
        onDone();
      },
    },
  );
  const close = () => {
    remove.reset();
    setWithKeys(false);
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
      {(keysAlone || withKeys) && (
        <Checkbox mt="sm" label={t('delete.keysToo', { count: provider?.credentials ?? 0 })} checked={withKeys} onChange={(event) => setWithKeys(event.currentTarget.checked)} />
      )}
    </Confirm>
  );
}

/** Those of a provider that the database declares; none of them where the provider itself would not be deleted, because somebody changed it. */
async function deleteCredentials({ name, revision }: Provider): Promise<void> {
  const { data: now } = await api.GET('/admin/api/providers/{id}', { params: { path: { id: name } } });
  if (now?.revision !== revision) throw new Problem({ code: 'stale', status: 412 });
  for (;;) {
    const query = { provider: name, origin: 'database', limit: 500 };
    const { credentials } = await getJson<{ credentials: { id: string }[] }>('/admin/api/credentials', query);
    if (credentials.length === 0) return;
    let failed: Problem | undefined;
    const stop = new AbortController();
    await eachOf(credentials, 4, stop.signal, async ({ id }) => {
      try {
        await api.DELETE('/admin/api/credentials/{id}', { params: { path: { id } } });
      } catch (error) {
        // Somebody else was faster, or it cannot be done at all.
        if (Problem.of(error).status !== 404) {
          failed = Problem.of(error);
          stop.abort();
        }
      }
    });
    if (failed) throw failed;
  }
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
