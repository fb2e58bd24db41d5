import { Stack, Text } from '@mantine/core';
import type { ColumnDef } from '@tanstack/react-table';
import type { TFunction } from 'i18next';
import type { ReactNode } from 'react';

import type { Format } from '../../widgets/format';
import { cacheShare, lastAttempt, type Row, sums } from './figures';
import { Outcome } from './Outcome';

/** Two lines of a cell: what is looked for first, and what belongs to it. */
function Two({ upper, lower, title, fills }: { upper: ReactNode; lower: ReactNode; title?: string; fills?: boolean }) {
  // What fills its column does not widen it: long names are cut, and the table fits.
  return (
    <Stack gap={0} title={title} miw={fills ? '100%' : 0} w={fills ? 0 : undefined}>
      <Text size="sm" truncate component="div">
        {upper}
      </Text>
      <Text size="xs" c="dimmed" truncate component="div">
        {lower}
      </Text>
    </Stack>
  );
}

function isToday(at: string | null | undefined): boolean {
  return at != null && new Date(at).toDateString() === new Date().toDateString();
}

export function columns(t: TFunction<['requests', 'common']>, format: Format, narrow: boolean): ColumnDef<Row>[] {
  return [
    {
      id: 'at',
      header: t('columns.time'),
      meta: { width: narrow ? '96px' : '112px' },
      cell: ({ row: { original: row } }) => {
        const protocol = t(`common:protocols.${row.protocol}`, { defaultValue: row.protocol });
        // The day is told where it is another one.
        return <Two upper={format.clock(row.at)} lower={isToday(row.at) ? protocol : format.day(row.at)} title={`${format.time(row.at)} · ${protocol}`} fills />;
      },
    },
    {
      id: 'model',
      header: t('columns.model'),
      meta: { width: narrow ? 'minmax(90px, 1fr)' : 'minmax(112px, 1.5fr)' },
      cell: ({ row: { original: row } }) => {
        const last = lastAttempt(row);
        const to = last && (last.model === row.model ? last.provider : `${last.provider}/${last.model}`);
        return (
          <Two
            fills
            upper={<bdi>{row.model || t('noModel')}</bdi>}
            title={to ? `${row.model} → ${to}` : row.model}
            lower={to ? <>→ <bdi>{to}</bdi>{row.attempts.length > 1 && ` · ${t('attempts.count', { count: row.attempts.length })}`}</> : t('attempts.none')}
          />
        );
      },
    },
    {
      id: 'who',
      header: t('columns.who'),
      meta: { width: 'minmax(90px, 0.8fr)', wide: true },
      cell: ({ row: { original: row } }) => {
        const who = row.user?.name ?? row.team?.name ?? row.key?.name;
        const lower = row.user || row.team ? (row.key?.name ?? '') : '';
        return <Two upper={who ? <bdi>{who}</bdi> : <Text span c="dimmed">{t('nobody')}</Text>} lower={<bdi>{lower}</bdi>} title={[who, lower].filter(Boolean).join(' · ')} fills />;
      },
    },
    {
      id: 'outcome',
      header: t('columns.outcome'),
      meta: { width: narrow ? '116px' : 'minmax(132px, 1.1fr)' },
      cell: ({ row: { original: row } }) => <Outcome status={row.status} outcome={row.outcome} error={row.error} short={narrow} />,
    },
    {
      id: 'took',
      header: () => <span title={t('columns.tookAbout')}>{t('columns.took')}</span>,
      meta: { width: '84px', align: 'right', wide: true },
      cell: ({ row: { original: row } }) => <Two upper={format.duration(row.duration_ms)} lower={format.duration(row.first_token_ms)} title={t('columns.tookAbout')} />,
    },
    {
      id: 'tokens',
      header: () => <span title={t('columns.tokensAbout')}>{t('columns.tokens')}</span>,
      meta: { width: '88px', align: 'right', wide: true },
      cell: ({ row: { original: row } }) => {
        const { input, output, reasoning } = sums(row.attempts);
        return <Two upper={format.number(row.tokens)} lower={row.tokens > 0 ? `${format.short(input)} → ${format.short(output + reasoning)}` : ''} title={t('columns.tokensAbout')} />;
      },
    },
    {
      id: 'speed',
      header: () => <span title={t('columns.speedAbout')}>{t('columns.speed')}</span>,
      meta: { width: '76px', align: 'right', wide: true },
      cell: ({ row: { original: row } }) => {
        const share = cacheShare(sums(row.attempts));
        return <Two upper={row.tokens_per_second == null ? '–' : format.number(row.tokens_per_second, 1)} lower={share === null ? '' : format.percent(share, 0)} title={t('columns.speedAbout')} />;
      },
    },
    {
      id: 'cost',
      header: () => <span title={t('columns.costAbout')}>{t('columns.cost')}</span>,
      meta: { width: '112px', align: 'right', wide: true },
      cell: ({ row: { original: row } }) => (
        <Two
          upper={format.money(row.cost as Record<string, string>)}
          lower={row.losses > 0 ? <Text span inherit c="var(--mantine-color-orange-light-color)">{t('lossCount', { count: row.losses })}</Text> : ''}
        />
      ),
    },
  ];
}
