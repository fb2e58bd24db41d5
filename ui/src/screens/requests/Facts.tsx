import { ActionIcon, Group, SimpleGrid, Text, Tooltip } from '@mantine/core';
import { IconFilter } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { CopyIcon } from '../../widgets/Copy';
import { useFormat } from '../../widgets/format';
import { cacheShare, type Row, sums } from './figures';
import type { Search } from './filters';

/** Who, when, by which way, and the figures. */
export function Facts({ row, onFilter }: { row: Row; onFilter: (next: Partial<Search>) => void }) {
  const { t } = useTranslation(['requests', 'common']);
  const format = useFormat();
  const counted = sums(row.attempts);
  const subject = (one: Row['user'], name: 'user' | 'team' | 'of_key') =>
    one && (
      <Fact label={t(`filters.${name}`)} onFilter={() => onFilter({ [name]: one.id })} copy={one.id}>
        <bdi>{one.name ?? one.id}</bdi>
      </Fact>
    );
  return (
    <SimpleGrid cols={{ base: 2, xs: 3, sm: 4 }} spacing="sm" verticalSpacing="xs" component="dl" m={0}>
      <Fact label={t('columns.time')}>
        {format.time(row.at)}
        <Text size="xs" c="dimmed">
          {format.ago(row.at)}
        </Text>
      </Fact>
      {subject(row.user, 'user')}
      {subject(row.team, 'team')}
      {subject(row.key, 'of_key')}
      {!row.user && !row.team && !row.key && <Fact label={t('columns.who')}>{t('nobody')}</Fact>}
      <Fact label={t('filters.model')} onFilter={row.model ? () => onFilter({ model: row.model }) : undefined}>
        <bdi>{row.model || '–'}</bdi>
      </Fact>
      <Fact label={t('filters.protocol')}>
        {t(`common:protocols.${row.protocol}`, { defaultValue: row.protocol })}
        {row.stream && ` · ${t('detail.streamed')}`}
      </Fact>
      <Fact label={t('detail.route')}>{row.route}</Fact>
      <Fact label={t('detail.duration')}>{format.duration(row.duration_ms)}</Fact>
      <Fact label={t('detail.firstToken')}>{format.duration(row.first_token_ms)}</Fact>
      <Fact label={t('detail.speed')}>{row.tokens_per_second == null ? '–' : t('detail.perSecond', { value: format.number(row.tokens_per_second, 1) })}</Fact>
      <Fact label={t('columns.tokens')}>
        {format.number(row.tokens)}
        {row.tokens > 0 && (
          <Text size="xs" c="dimmed">
            {t('detail.inOut', { input: format.number(counted.input), output: format.number(counted.output + counted.reasoning) })}
          </Text>
        )}
      </Fact>
      <Fact label={t('detail.cache')}>{format.percent(cacheShare(counted), 0)}</Fact>
      <Fact label={t('columns.cost')}>{format.money(row.cost as Record<string, string>)}</Fact>
      {row.finish && <Fact label={t('detail.finish')}>{row.finish}</Fact>}
      {row.source && <Fact label={t('detail.source')} copy={row.source}>{row.source}</Fact>}
      {row.upstream_id && (
        <Fact label={t('detail.upstreamId')} copy={row.upstream_id}>
          {row.upstream_id}
        </Fact>
      )}
    </SimpleGrid>
  );
}

function Fact({ label, children, copy, onFilter }: { label: string; children: ReactNode; copy?: string; onFilter?: () => void }) {
  const { t } = useTranslation(['requests', 'common']);
  return (
    <div>
      <Text size="xs" c="dimmed" component="dt">
        {label}
      </Text>
      <Group gap={2} component="dd" m={0} align="flex-start" wrap="nowrap">
        <Text size="sm" component="div" style={{ minWidth: 0 }}>
          {children}
        </Text>
        {onFilter && (
          <Tooltip label={t('detail.filter')}>
            <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`${t('detail.filter')}: ${label}`} onClick={onFilter}>
              <IconFilter size={14} />
            </ActionIcon>
          </Tooltip>
        )}
        {copy && <CopyIcon text={copy} label={t('detail.copy', { what: label })} />}
      </Group>
    </div>
  );
}
