import { Anchor, Button, Group, Stack } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { useList } from '../../api/list';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { useFormat } from '../../widgets/format';
import { ImportDialog } from '../credentials/import/ImportDialog';
import type { Provider } from './columns';
import { Standing } from './Marks';

type Credential = Schemas['Credential'];

/** The keys and accounts of a provider. */
export function DetailCredentials({ provider }: { provider: Provider }) {
  const { t } = useTranslation(['providers', 'common']);
  const format = useFormat();
  const [adding, setAdding] = useState(false);
  const list = useList('/admin/api/credentials', 'credentials', { provider: provider.name }, { refetchInterval: 10_000 });
  const columns = useMemo<ColumnDef<Credential>[]>(
    () => [
      {
        id: 'label',
        header: t('columns.credential'),
        meta: { width: 'minmax(140px, 1.4fr)' },
        cell: ({ row: { original } }) => (
          <Anchor renderRoot={(props) => <Link to="/credentials" search={{ provider: provider.name, open: original.id } as never} {...props} />} size="sm">
            <bdi>{original.label}</bdi>
          </Anchor>
        ),
      },
      { id: 'state', header: t('columns.state'), meta: { width: 'minmax(110px, 1fr)' }, cell: ({ row: { original } }) => <Standing of={original as never} /> },
      { id: 'rate', header: t('columns.rate'), meta: { width: '92px', align: 'right' }, cell: ({ row: { original } }) => format.percent(original.success_rate) },
      { id: 'used', header: t('columns.used'), meta: { width: 'minmax(110px, 0.8fr)', wide: true }, cell: ({ row: { original } }) => format.ago(original.last_used) },
    ],
    [t, format, provider.name],
  );
  return (
    <Stack gap="sm">
      <Group justify="flex-end">
        <Button size="xs" variant="light" leftSection={<IconPlus size={15} />} onClick={() => setAdding(true)}>
          {t('actions.addKeys')}
        </Button>
      </Group>
      <DataTable
        label={t('columns.credentials')}
        list={list}
        columns={columns}
        id={(row) => row.id}
        rowHeight={40}
        height="min(58dvh, 560px)"
        empty={<Empty title={t('keys.none')}>{t('keys.noneText')}</Empty>}
      />
      <ImportDialog opened={adding} onClose={() => setAdding(false)} provider={provider.name} />
    </Stack>
  );
}
