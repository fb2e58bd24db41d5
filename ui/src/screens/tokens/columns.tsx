import { ActionIcon, Badge, Menu, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconDotsVertical } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useCountdown, useFormat } from '../../widgets/format';
import { LeftBar } from '../credentials/columns';
import { COLOURS, millis, quotaLeft, type Token } from './tokens';
import { type TokenAct, useTokenAct } from './useTokens';

/** What is told of each token. */
export function useColumns(onDelete: (tokens: Token[]) => void, onDisable: (token: Token) => void): ColumnDef<Token>[] {
  const { t } = useTranslation(['tokens', 'common']);
  const format = useFormat();
  return useMemo(
    () => [
      {
        id: 'email',
        accessorKey: 'email',
        header: t('columns.email'),
        meta: { width: 'minmax(150px, 1.5fr)' },
        cell: ({ row: { original } }) => (
          <>
            <Text size="sm" fw={600} truncate title={original.email} lh={1.25}>
              <bdi>{original.email}</bdi>
            </Text>
            <Text size="xs" c="dimmed" truncate lh={1.25} ff="monospace">
              {original.warp_refresh_token ?? '…'}
            </Text>
          </>
        ),
      },
      { id: 'status', accessorKey: 'status', header: t('columns.status'), meta: { width: 'minmax(128px, 1fr)' }, cell: ({ row: { original } }) => <Status of={original} /> },
      { id: 'provider', accessorKey: 'provider', header: t('columns.provider'), meta: { width: 'minmax(100px, 0.8fr)', wide: true }, cell: ({ row: { original } }) => <bdi>{original.provider}</bdi> },
      {
        id: 'quota',
        accessorFn: (row) => quotaLeft(row) ?? 2,
        header: t('columns.quota'),
        meta: { width: '116px', wide: true },
        cell: ({ row: { original } }) => <Quota of={original} />,
      },
      { id: 'uses', accessorKey: 'use_count', header: t('columns.uses'), meta: { width: '66px', align: 'right', wide: true }, cell: ({ row: { original } }) => format.short(original.use_count) },
      {
        id: 'errors',
        accessorKey: 'error_count',
        header: t('columns.errors'),
        meta: { width: '72px', align: 'right', wide: true },
        cell: ({ row: { original } }) => <Text size="sm" c={original.error_count > 0 ? 'red' : undefined}>{format.short(original.error_count)}</Text>,
      },
      {
        id: 'error',
        header: t('columns.error'),
        enableSorting: false,
        meta: { width: 'minmax(110px, 1.3fr)', wide: true },
        cell: ({ row: { original } }) => <bdi title={original.last_error_message ?? undefined}>{original.last_error_message ?? original.last_error_code ?? ''}</bdi>,
      },
      { id: 'checked', accessorFn: (row) => millis(row.last_check_at) ?? 0, header: t('columns.checked'), meta: { width: '124px', wide: true }, cell: ({ row: { original } }) => format.ago(original.last_check_at) },
      {
        id: 'menu',
        enableSorting: false,
        header: () => <VisuallyHidden>{t('columns.actions')}</VisuallyHidden>,
        meta: { width: '48px' },
        cell: ({ row: { original } }) => <RowMenu token={original} onDelete={onDelete} onDisable={onDisable} />,
      },
    ],
    [t, format, onDelete, onDisable],
  );
}

export function Status({ of }: { of: Token }) {
  const { t } = useTranslation(['tokens', 'common']);
  const left = useCountdown(millis(of.cooldown_until));
  const badge = (
    <Badge color={COLOURS[of.status] ?? 'gray'} data-state={of.status}>
      {t(`statuses.${of.status}`)}
      {left && ` · ${left}`}
    </Badge>
  );
  return of.last_error_message ? (
    <Tooltip label={of.last_error_message} multiline maw={420}>
      {badge}
    </Tooltip>
  ) : (
    badge
  );
}

function Quota({ of }: { of: Token }) {
  const { t } = useTranslation(['tokens', 'common']);
  const format = useFormat();
  const left = quotaLeft(of);
  if (of.quota_is_unlimited) return <Text size="sm">{t('quota.unlimited')}</Text>;
  if (left === undefined) return <Text size="sm" c="dimmed">–</Text>;
  return (
    <Tooltip label={of.quota_next_refresh_time ? t('quota.next', { at: format.time(of.quota_next_refresh_time) }) : t('quota.noNext')}>
      <div>
        <Text size="xs" lh={1.3}>
          {t('quota.left', { left: format.short(of.quota_remaining), limit: format.short(of.quota_limit) })}
        </Text>
        <LeftBar share={left} label={t('columns.quota')} />
      </div>
    </Tooltip>
  );
}

function RowMenu({ token, onDelete, onDisable }: { token: Token; onDelete: (tokens: Token[]) => void; onDisable: (token: Token) => void }) {
  const { t } = useTranslation(['tokens', 'common']);
  const act = useTokenAct();
  const navigate = useNavigate();
  const item = (what: TokenAct) => (
    <Menu.Item key={what} onClick={() => act.run({ token, what })}>
      {t(`acts.${what}`)}
    </Menu.Item>
  );
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" loading={act.isPending} aria-label={`${t('columns.actions')}: ${token.email}`}>
          <IconDotsVertical size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {item('refresh')}
        {item('health')}
        {item('quota')}
        <Menu.Divider />
        {token.status === 'disabled' ? item('activate') : <Menu.Item onClick={() => onDisable(token)}>{t('acts.disable')}</Menu.Item>}
        <Menu.Item onClick={() => void navigate({ to: '/credentials', search: { open: token.credential } as never })}>{t('acts.open')}</Menu.Item>
        <Menu.Divider />
        <Menu.Item c="var(--mantine-color-red-light-color)" onClick={() => onDelete([token])}>
          {t('acts.delete')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
