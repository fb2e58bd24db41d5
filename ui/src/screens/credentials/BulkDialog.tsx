import { Badge, Button, Group, Modal, Progress, SegmentedControl, Stack, Text } from '@mantine/core';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import type { Outcome, useBulk } from './useBulk';

const COLOURS: Record<Outcome['result'], string> = { waiting: 'gray', done: 'teal', bad: 'orange', failed: 'red' };

/** How something goes that is done to many. */
export function BulkDialog({ bulk }: { bulk: ReturnType<typeof useBulk> }) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const [only, setOnly] = useState('all');
  const { outcomes, act, done, running, stopping, halted } = bulk;
  const count = (result: Outcome['result']) => outcomes.reduce((sum, one) => sum + Number(one.result === result), 0);
  const shown = useMemo(() => (only === 'all' ? outcomes : outcomes.filter((one) => one.result === 'failed' || one.result === 'bad')), [outcomes, only]);
  const columns = useMemo<ColumnDef<Outcome>[]>(
    () => [
      { id: 'label', header: t('columns.label'), meta: { width: 'minmax(130px, 1fr)' }, cell: ({ row: { original } }) => <bdi>{original.label}</bdi> },
      {
        id: 'result',
        header: t('import.result'),
        meta: { width: '140px' },
        cell: ({ row: { original } }) => <Badge color={COLOURS[original.result]}>{t(`bulk.results.${original.result}`)}</Badge>,
      },
      {
        id: 'message',
        header: t('bulk.reason'),
        meta: { width: 'minmax(140px, 1.6fr)' },
        cell: ({ row: { original } }) => <bdi title={original.message}>{original.message ?? ''}</bdi>,
      },
    ],
    [t],
  );
  return (
    <Modal opened={act !== undefined} onClose={() => !running && bulk.close()} title={act && t(`acts.${act}`)} size={760} closeOnClickOutside={!running} withCloseButton={!running}>
      <Stack gap="sm">
        <Text size="sm" role="status">
          {t('bulk.progress', { done: format.number(done), total: format.number(outcomes.length) })}
        </Text>
        <Progress value={outcomes.length > 0 ? (done / outcomes.length) * 100 : 0} animated={running} aria-label={t('import.progress')} />
        <Group justify="space-between">
          <Group gap={6}>
            {(['done', 'bad', 'failed', 'waiting'] as const).map((result) =>
              count(result) > 0 ? (
                <Badge key={result} color={COLOURS[result]}>
                  {t(`bulk.results.${result}`)} {format.number(count(result))}
                </Badge>
              ) : null,
            )}
          </Group>
          <SegmentedControl
            size="xs"
            aria-label={t('import.show')}
            value={only}
            onChange={setOnly}
            data={[
              { value: 'all', label: t('common:all') },
              { value: 'failed', label: t('bulk.onlyFailed') },
            ]}
          />
        </Group>
        <DataTable
          label={t('bulk.label')}
          list={{ rows: shown }}
          columns={columns}
          id={(row) => row.id}
          rowHeight={34}
          height="min(44dvh, 400px)"
          empty={<Empty title={t('import.nothingSo')} />}
        />
        <ProblemAlert problem={halted} />
        <Group justify="flex-end">
          {running ? (
            <Button variant="default" onClick={bulk.stop}>
              {t(stopping ? 'bulk.leave' : 'bulk.stop')}
            </Button>
          ) : (
            <>
              {count('failed') + count('waiting') > 0 && (
                <Button variant="default" onClick={bulk.goOn}>
                  {t('bulk.goOn', { count: count('failed') + count('waiting') })}
                </Button>
              )}
              <Button onClick={bulk.close}>{t('common:close')}</Button>
            </>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}
