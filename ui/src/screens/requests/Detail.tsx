import { ActionIcon, Button, Drawer, Group, Stack, Text, Title, Tooltip } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconChevronDown, IconChevronUp, IconHelpHexagon, IconPlayerTrackNext } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { getJson } from '../../api/list';
import { useMay } from '../../app/session';
import { CopyIcon } from '../../widgets/Copy';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { handOver } from '../playground/handover';
import { isProtocol } from '../playground/protocols/neutral';
import { Attempts } from './Attempts';
import { Facts } from './Facts';
import type { Row } from './figures';
import type { Search } from './filters';
import { Losses } from './Losses';
import { Outcome } from './Outcome';
import { Said } from './Said';
import { UsageTable } from './UsageTable';
import { Why } from './Why';
import { replay } from './replay';

interface Props {
  id: string;
  rows: Row[];
  hasMore: boolean;
  loadMore: () => void;
  onOpen: (id: string) => void;
  onClose: () => void;
  onFilter: (next: Partial<Search>) => void;
}

/** Everything that is known of a request. */
export function Detail({ id, rows, hasMore, loadMore, onOpen, onClose, onFilter }: Props) {
  const { t } = useTranslation(['requests', 'common']);
  const at = rows.findIndex((row) => row.id === id);
  const go = (by: number) => {
    const next = at < 0 ? undefined : rows[at + by];
    if (next) onOpen(next.id);
    if (by > 0 && hasMore && at + by >= rows.length - 2) loadMore();
  };
  useHotkeys(id === '' ? [] : [['j', () => go(1)], ['k', () => go(-1)]]);
  return (
    <Drawer
      opened={id !== ''}
      onClose={onClose}
      size="min(100vw, 860px)"
      closeButtonProps={{ 'aria-label': t('common:close') }}
      title={
        <Group gap="xs">
          <Title order={2}>{t('detail.title')}</Title>
          <Tooltip label={`${t('detail.newer')} (k)`}>
            <ActionIcon variant="default" aria-label={t('detail.newer')} disabled={at <= 0} onClick={() => go(-1)}>
              <IconChevronUp size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label={`${t('detail.older')} (j)`}>
            <ActionIcon variant="default" aria-label={t('detail.older')} disabled={at < 0 || at >= rows.length - 1} onClick={() => go(1)}>
              <IconChevronDown size={16} />
            </ActionIcon>
          </Tooltip>
        </Group>
      }
    >
      {id !== '' && <Content key={id} id={id} listed={rows[at]} onFilter={onFilter} />}
    </Drawer>
  );
}

function Content({ id, listed, onFilter }: { id: string; listed: Row | undefined; onFilter: Props['onFilter'] }) {
  const { t } = useTranslation(['requests', 'common']);
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['get', `/admin/api/requests/${id}`],
    queryFn: ({ signal }) => getJson<Row>(`/admin/api/requests/${encodeURIComponent(id)}`, {}, signal),
    // It has ended: it does not change any more, but it may not have been written yet when it was told live.
    staleTime: 60_000,
  });
  const row = data ?? listed;
  if (!row) return isPending ? <Waiting /> : <ProblemAlert problem={error} onRetry={() => void refetch()} />;
  return (
    <Stack gap="lg">
      <div>
        <Group gap="xs">
          <Text fw={650} size="lg">
            <bdi>{row.model || t('noModel')}</bdi>
          </Text>
          <Outcome status={row.status} outcome={row.outcome} />
        </Group>
        <Group gap={2}>
          <Text size="xs" c="dimmed" ff="monospace">
            {row.id}
          </Text>
          <CopyIcon text={row.id} label={t('detail.copyId')} />
        </Group>
        <Actions row={row} whole={data !== undefined} />
      </div>
      <Why row={row} />
      <Facts row={row} onFilter={onFilter} />
      <Section title={t('attempts.title')}>
        <Attempts row={row} />
      </Section>
      {row.attempts.length > 0 && (
        <Section title={t('usage.title')}>
          <UsageTable row={row} />
        </Section>
      )}
      {(row.losses > 0 || row.loss_report) && (
        <Section title={t('losses.title')}>
          <Losses report={row.loss_report} count={row.losses} />
        </Section>
      )}
      <Section title={t('said.title')}>{data ? <Said row={data} /> : error ? <ProblemAlert problem={error} onRetry={() => void refetch()} /> : <Waiting />}</Section>
    </Stack>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <Title order={3} mb="xs">
        {title}
      </Title>
      {children}
    </section>
  );
}

function Actions({ row, whole }: { row: Row; whole: boolean }) {
  const { t } = useTranslation(['requests', 'common']);
  const navigate = useNavigate();
  const may = useMay();
  const ready = replay(row);
  const reason = 'why' in ready ? (whole ? t(`replay.${ready.why}`) : t('common:waiting')) : undefined;
  const button = (
    <Button
      size="xs"
      leftSection={<IconPlayerTrackNext size={15} />}
      data-disabled={reason !== undefined || undefined}
      aria-disabled={reason !== undefined || undefined}
      onClick={() => {
        if ('why' in ready) return;
        handOver(ready.request);
        void navigate({ to: '/playground' });
      }}
    >
      {t('replay.do')}
    </Button>
  );
  return (
    <Group gap="xs" mt="xs">
      {reason ? (
        <Tooltip label={reason} multiline maw={360} events={{ hover: true, focus: true, touch: true }}>
          {button}
        </Tooltip>
      ) : (
        button
      )}
      {may('admin') && row.model && (
        <Button size="xs" variant="default" leftSection={<IconHelpHexagon size={15} />} onClick={() => void navigate({ to: '/explain', search: explainSearch(row) as never })}>
          {t('detail.explain')}
        </Button>
      )}
      <CopyIcon text={JSON.stringify(row, null, 2)} label={t('detail.copyJson')} />
    </Group>
  );
}

function explainSearch({ model, protocol }: Row): Record<string, string> {
  return isProtocol(protocol) && protocol !== 'chat' ? { model, protocol } : { model };
}
