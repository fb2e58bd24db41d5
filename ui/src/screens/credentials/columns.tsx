import { Badge, Group, Progress, Text, Tooltip } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { Standing } from '../providers/Marks';
import { type Bucket, type Credential, left, paceText, quotaColour, statuses, tightest } from './quota';

/** What is told of each key and account in the list. */
export function useColumns(): ColumnDef<Credential>[] {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  return useMemo(
    () => [
      {
        id: 'label',
        header: t('columns.label'),
        meta: { width: 'minmax(150px, 1.4fr)' },
        cell: ({ row: { original } }) => (
          <>
            <Group gap={4} wrap="nowrap">
              <Text size="sm" fw={600} truncate title={original.label} lh={1.25}>
                <bdi>{original.label}</bdi>
              </Text>
              {original.origin !== 'database' && (
                <Tooltip label={`${t('columns.origin')}: ${t(`common:origins.${original.origin}`)}`}>
                  <IconLock size={13} aria-label={t(`common:origins.${original.origin}`)} />
                </Tooltip>
              )}
            </Group>
            <Text size="xs" c="dimmed" truncate lh={1.25} ff="monospace">
              <Text span inherit hiddenFrom="sm">
                <bdi>{original.provider}</bdi> ·{' '}
              </Text>
              {original.masked ?? '…'}
            </Text>
          </>
        ),
      },
      { id: 'state', header: t('columns.state'), meta: { width: 'minmax(132px, 1fr)' }, cell: ({ row: { original } }) => <Standing of={original} /> },
      {
        id: 'provider',
        header: t('columns.provider'),
        meta: { width: 'minmax(110px, 1fr)', wide: true },
        cell: ({ row: { original } }) => (
          <>
            <Text size="sm" truncate lh={1.25}>
              <bdi>{original.provider}</bdi>
            </Text>
            <Text size="xs" c="dimmed" lh={1.25}>
              {t(`kinds.${original.kind}`)}
            </Text>
          </>
        ),
      },
      {
        id: 'rate',
        header: t('columns.rate'),
        meta: { width: '104px', wide: true },
        cell: ({ row: { original } }) => <Rate of={original} />,
      },
      {
        id: 'codes',
        header: t('columns.codes'),
        meta: { width: 'minmax(130px, 1fr)', wide: true },
        cell: ({ row: { original } }) => <Codes of={original} most={2} />,
      },
      { id: 'used', header: t('columns.used'), meta: { width: '126px', wide: true }, cell: ({ row: { original } }) => <span title={format.time(original.last_used)}>{format.ago(original.last_used)}</span> },
      { id: 'flight', header: t('columns.inFlight'), meta: { width: '76px', align: 'right', wide: true }, cell: ({ row: { original } }) => format.number(original.in_flight) },
      { id: 'quota', header: t('columns.quota'), meta: { width: '112px', wide: true }, cell: ({ row: { original } }) => <QuotaLeft buckets={original.quota?.buckets} /> },
      {
        id: 'share',
        header: t('columns.share'),
        meta: { width: '116px', wide: true },
        cell: ({ row: { original } }) => {
          const limits = [original.limits?.requests != null ? t('limits.atOnce', { count: original.limits.requests }) : '', paceText(original.limits?.pace) ?? ''].filter(Boolean);
          return (
            <>
              <Text size="xs" lh={1.3}>
                {t('limits.share', { weight: original.weight ?? 1, priority: original.priority ?? 1 })}
              </Text>
              {limits.length > 0 && (
                <Text size="xs" c="dimmed" lh={1.3} truncate>
                  {limits.join(' · ')}
                </Text>
              )}
            </>
          );
        },
      },
    ],
    [t, format],
  );
}

/** The share of attempts that went well, of how many. */
export function Rate({ of }: { of: Credential }) {
  const format = useFormat();
  const { t } = useTranslation(['credentials', 'common']);
  if (of.success_rate == null) return <Text size="sm" c="dimmed">–</Text>;
  return (
    <div>
      <Text size="xs" lh={1.3}>
        {format.percent(of.success_rate)} · {format.short(of.requests)}
      </Text>
      <Progress size={4} value={of.success_rate * 100} color={of.success_rate >= 0.95 ? 'teal' : of.success_rate >= 0.7 ? 'orange' : 'red'} aria-label={t('columns.rate')} />
    </div>
  );
}

/** Statuses and how often each came. */
export function Codes({ of, most = 99 }: { of: Credential; most?: number }) {
  const format = useFormat();
  const all = statuses(of.status_codes);
  if (all.length === 0) return <Text size="sm" c="dimmed">–</Text>;
  return (
    <Group gap={3} wrap={most < 99 ? 'nowrap' : 'wrap'}>
      {all.slice(0, most).map(({ code, count, good }) => (
        <Badge key={code} size="sm" color={good ? 'teal' : code === '429' ? 'orange' : 'red'} style={{ flex: 'none' }}>
          {code} × {format.short(count)}
        </Badge>
      ))}
      {all.length > most && (
        <Text size="xs" title={all.slice(most).map(({ code, count }) => `${code} × ${format.short(count)}`).join(', ')}>
          +{all.length - most}
        </Text>
      )}
    </Group>
  );
}

/** What is left of the allowance that ends first. */
export function QuotaLeft({ buckets }: { buckets: readonly Bucket[] | undefined }) {
  const format = useFormat();
  const { t } = useTranslation(['credentials', 'common']);
  const found = tightest(buckets);
  if (!found) return <Text size="sm" c="dimmed">{buckets?.some((bucket) => bucket.unlimited) ? t('quota.unlimited') : '–'}</Text>;
  return (
    <Tooltip label={[found.bucket.model ?? t('quota.allModels'), found.bucket.resets_at ? t('quota.resets', { at: format.time(found.bucket.resets_at * 1000) }) : ''].filter(Boolean).join(' · ')}>
      <div>
        <Text size="xs" lh={1.3}>
          {format.percent(found.left, 0)}
        </Text>
        <LeftBar share={left(found.bucket) ?? 0} label={t('columns.quota')} />
      </div>
    </Tooltip>
  );
}

export function LeftBar({ share, label }: { share: number; label: string }) {
  return <Progress size={5} value={share * 100} color={quotaColour(share)} aria-label={label} />;
}
