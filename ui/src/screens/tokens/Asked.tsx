import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { Problem } from '../../api/problem';
import { useChange } from '../../api/query';
import { useTell } from '../../widgets/act';
import { Confirm } from '../../widgets/confirm';
import { deleteInParts, type Token } from './tokens';
import { REFRESHES, useTokenAct } from './useTokens';

interface DeleteProps {
  /** Nothing is asked where there are none. */
  tokens: Token[];
  onClose: () => void;
  onDone: () => void;
}

/** Asks before tokens are deleted. */
export function DeleteTokens({ tokens, onClose, onDone }: DeleteProps) {
  const { t } = useTranslation(['tokens', 'common']);
  const tell = useTell();
  const remove = useChange(
    (ids: number[]) => deleteInParts(ids, async (part) => (await api.POST('/admin/api/tokens/batch-delete', { body: { ids: part } })).data?.data),
    {
      refreshes: REFRESHES,
      onDone: ({ sum, failed }, ids) => {
        onDone();
        if (failed) tell.problem(failed);
        if (sum.refused.length > 0) tell.problem(new Problem({ code: 'declared_elsewhere', title: t('delete.refused', { count: sum.refused.length }), detail: sum.refused[0]?.detail }));
        if (failed) tell.done(t('delete.partly', { done: sum.deleted, all: ids.length }));
        else if (sum.deleted > 0) tell.done(t('delete.done', { count: sum.deleted }));
      },
    },
  );
  return (
    <Confirm
      opened={tokens.length > 0}
      onClose={() => (onClose(), remove.reset())}
      title={t('delete.title', { count: tokens.length })}
      action={t('common:delete')}
      typed={tokens.length > 1 ? String(tokens.length) : undefined}
      pending={remove.isPending}
      problem={remove.error}
      onConfirm={() => remove.mutate(tokens.map((token) => token.id))}
    >
      {tokens.length === 1 && (
        <Text size="sm" fw={600} mb={4}>
          <bdi>{tokens[0]?.email}</bdi>
        </Text>
      )}
      {t('delete.text')}
    </Confirm>
  );
}

/** Asks before a token is switched off. */
export function DisableToken({ token, onClose }: { token: Token | null; onClose: () => void }) {
  const { t } = useTranslation(['tokens', 'common']);
  const act = useTokenAct();
  return (
    <Confirm
      opened={token !== null}
      onClose={() => (onClose(), act.reset())}
      title={t('disable.title')}
      action={t('acts.disable')}
      pending={act.isPending}
      problem={act.error}
      onConfirm={() => token && act.mutate({ token, what: 'disable' }, { onSuccess: onClose })}
    >
      <Text size="sm" fw={600} mb={4}>
        <bdi>{token?.email}</bdi>
      </Text>
      {t('disable.text')}
    </Confirm>
  );
}
