import { Button, Group, NativeSelect, Progress, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { useList } from '../../api/list';
import { useMay } from '../../app/session';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { PageHeader } from '../../widgets/PageHeader';
import { useAmountWords, useLimitWords } from '../../widgets/rules/RulesSummary';
import type { Limit } from '../../widgets/rules/rules';
import { useSearch } from '../../widgets/search';
import { SearchInput } from '../../widgets/SearchInput';
import { colourOf, usedShare } from '../../widgets/standing';

type Standing = Schemas['QuotaStanding'];

const SCREENS: Record<string, string> = { key: '/keys', user: '/users', team: '/teams' };

/** Every limit, and how much of it is left. */
export default function Quotas() {
  const { t } = useTranslation(['quotas', 'common']);
  const format = useFormat();
  const words = useLimitWords();
  const amount = useAmountWords();
  const [search, setSearch] = useSearch({ q: '', what: '', window: '' });
  const admin = useMay()('admin');
  const list = useList('/admin/api/quotas', 'quotas', search, { refetchInterval: 10_000 });
  const columns = useMemo<ColumnDef<Standing>[]>(
    () => [
      {
        id: 'of',
        header: t('of'),
        cell: ({ row: { original: quota } }) => {
          const name = <bdi>{quota.of.name ?? quota.of.id}</bdi>;
          const to = SCREENS[quota.of.kind];
          return (
            <>
              <Text span size="xs" c="dimmed">
                {t(`kinds.${quota.of.kind}`, { defaultValue: quota.of.kind })}{' '}
              </Text>
              {to ? (
                <Link to={to} search={{ id: quota.of.id } as never}>
                  {name}
                </Link>
              ) : (
                name
              )}
            </>
          );
        },
        meta: { width: 'minmax(150px, 1.2fr)' },
      },
      { id: 'limit', header: t('limit'), cell: ({ row }) => <bdi>{words(row.original as unknown as Limit)}</bdi>, meta: { width: 'minmax(170px, 1.4fr)' } },
      {
        id: 'used',
        header: t('used'),
        cell: ({ row: { original: quota } }) => {
          const share = usedShare(quota.amount, quota.left);
          return (
            <>
              <Group gap="xs" wrap="nowrap">
                <Progress value={share * 100} color={colourOf(share)} w={110} aria-label={t('used')} />
                <Text size="sm">{format.percent(share, 0)}</Text>
              </Group>
              <Text size="xs" c="dimmed">
                {t('leftOf', { left: amount(quota.what, quota.left), amount: amount(quota.what, quota.amount) })}
              </Text>
            </>
          );
        },
        meta: { width: 'minmax(190px, 1fr)' },
      },
      { id: 'resets', header: t('resets'), cell: ({ row }) => (row.original.resets_at ? format.ago(row.original.resets_at) : '–'), meta: { width: '140px', wide: true } },
    ],
    [t, format, words, amount],
  );
  return (
    <>
      <PageHeader title={t('common:screens.quotas')} about={t('about')} />
      <Group mb="sm" gap="xs">
        <SearchInput value={search.q} onSearch={(q) => setSearch({ q })} />
        <NativeSelect
          aria-label={t('common:rules.what')}
          data={[{ value: '', label: t('common:all') }, ...(['requests', 'tokens', 'money', 'concurrency'] as const).map((what) => ({ value: what, label: t(`common:rules.of.${what}`) }))]}
          value={search.what}
          onChange={(event) => setSearch({ what: event.currentTarget.value })}
        />
        <NativeSelect
          aria-label={t('common:rules.per')}
          data={[{ value: '', label: t('common:all') }, ...(['minute', 'day', 'month', 'total'] as const).map((window) => ({ value: window, label: t(`common:rules.windows.${window}`) }))]}
          value={search.window}
          onChange={(event) => setSearch({ window: event.currentTarget.value })}
        />
      </Group>
      <DataTable
        label={t('common:screens.quotas')}
        list={list}
        columns={columns}
        rowHeight={52}
        id={(quota) => quota.id}
        empty={
          search.q || search.what || search.window ? (
            <Empty title={t('noneFound')} action={<Button variant="default" onClick={() => setSearch({ q: '', what: '', window: '' })}>{t('clear')}</Button>} />
          ) : (
            <Empty title={t('none')} action={<Button variant="default" component={Link} to="/keys">{t('common:screens.keys')}</Button>}>
              {t(admin ? 'noneText' : 'noneTextOwn')}
            </Empty>
          )
        }
      />
    </>
  );
}
