import { Badge, Button, Group, Progress, SegmentedControl, Stack, Text } from '@mantine/core';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { CopyButton } from '../../../widgets/Copy';
import { DataTable } from '../../../widgets/DataTable';
import { Empty } from '../../../widgets/Empty';
import { useFormat } from '../../../widgets/format';
import { ProblemAlert } from '../../../widgets/ProblemAlert';
import { secretOf } from './parse';
import type { Row, useImport } from './useImport';

const COLOURS: Record<Row['result'], string> = { created: 'teal', duplicate: 'gray', invalid: 'red', waiting: 'blue' };

interface Props {
  work: ReturnType<typeof useImport>;
  provider: string;
  /** Another import. */
  onMore: () => void;
  /** Back to what was pasted. */
  onBack: () => void;
  onClose: () => void;
}

/** How an import goes, and what became of each entry. */
export function ImportResults({ work, provider, onMore, onBack, onClose }: Props) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const [only, setOnly] = useState<'all' | Row['result']>('all');
  const { counts, rows, phase } = work;
  const total = rows.length;
  const done = total - counts.waiting;
  // The rows themselves change in place, part by part.
  const shown = useMemo(() => (only === 'all' ? [...rows] : rows.filter((row) => row.result === only)), [rows, only, counts]);
  const columns = useMemo<ColumnDef<Row>[]>(
    () => [
      { id: 'at', header: t('import.line'), meta: { width: '76px', align: 'right' }, cell: ({ row: { original } }) => format.number(original.at) },
      { id: 'shown', header: t('import.entry'), meta: { width: 'minmax(110px, 0.8fr)', wide: true }, cell: ({ row: { original } }) => <code>{original.shown}</code> },
      { id: 'result', header: t('import.result'), meta: { width: '110px' }, cell: ({ row: { original } }) => <Badge color={COLOURS[original.result]}>{t(`import.results.${original.result}`)}</Badge> },
      {
        id: 'message',
        header: t('import.reason'),
        meta: { width: 'minmax(160px, 1.6fr)' },
        cell: ({ row: { original } }) => <bdi title={original.message}>{original.message ?? original.label ?? ''}</bdi>,
      },
    ],
    [t, format],
  );
  const failed = () =>
    rows
      .filter((row) => row.result === 'invalid' || row.result === 'waiting')
      .map((row) => row.item.raw ?? secretOf(row.item.entry))
      .filter(Boolean)
      .join('\n');
  const busy = phase === 'reading' || phase === 'sending';
  return (
    <Stack gap="sm">
      <Text size="sm" fw={600} role="status">
        {phase === 'reading' ? t('import.reading', { read: format.number(work.read) }) : t(`import.phase.${phase}`, { done: format.number(done), total: format.number(total) })}
      </Text>
      {busy && <Progress value={total > 0 && phase === 'sending' ? (done / total) * 100 : 0} animated aria-label={t('import.progress')} />}
      <ProblemAlert problem={work.problem} />
      {phase === 'stopped' && (
        <Group gap="xs">
          <Button size="xs" onClick={() => void work.goOn(provider)}>
            {t('import.goOn', { count: counts.waiting })}
          </Button>
          {counts.created === 0 && (
            <Button size="xs" variant="default" onClick={onBack}>
              {t('import.back')}
            </Button>
          )}
        </Group>
      )}
      <Group gap={6}>
        {(['created', 'duplicate', 'invalid', 'waiting'] as const).map((result) =>
          counts[result] > 0 ? (
            <Badge key={result} color={COLOURS[result]}>
              {t(`import.results.${result}`)} {format.number(counts[result])}
            </Badge>
          ) : null,
        )}
        {counts.hydrated > 0 && <Badge color="teal">{t('import.hydrated', { count: counts.hydrated })}</Badge>}
        {counts.notHydrated > 0 && <Badge color="orange">{t('import.notHydrated', { count: counts.notHydrated })}</Badge>}
      </Group>
      {total > 0 && (
        <>
          <Group justify="space-between" gap="xs">
            <SegmentedControl
              size="xs"
              aria-label={t('import.show')}
              value={only}
              onChange={(value) => setOnly(value as typeof only)}
              data={[
                { value: 'all', label: t('common:all') },
                { value: 'created', label: t('import.results.created') },
                { value: 'duplicate', label: t('import.results.duplicate') },
                { value: 'invalid', label: t('import.results.invalid') },
              ]}
            />
            {counts.invalid + counts.waiting > 0 && !busy && <CopyButton make={failed} label={t('import.copyFailed')} />}
          </Group>
          <DataTable
            label={t('import.title')}
            list={{ rows: shown }}
            columns={columns}
            id={(row) => String(row.n)}
            rowHeight={34}
            height="min(44dvh, 420px)"
            empty={<Empty title={t('import.nothingSo')} />}
          />
        </>
      )}
      <Group justify="flex-end">
        {busy && (
          <Button variant="default" onClick={work.cancel}>
            {t('common:cancel')}
          </Button>
        )}
        {phase === 'done' && (
          <Button variant="default" onClick={onMore}>
            {t('import.more')}
          </Button>
        )}
        {!busy && <Button onClick={onClose}>{t('import.close')}</Button>}
      </Group>
    </Stack>
  );
}
