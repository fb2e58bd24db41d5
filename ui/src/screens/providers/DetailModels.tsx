import { Badge, Button, Group, Stack, Text, TextInput, VisuallyHidden } from '@mantine/core';
import { IconListSearch, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, ifMatch, type Schemas } from '../../api/client';
import { useAct } from '../../widgets/act';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { StateBadge } from '../../widgets/StateBadge';
import type { Provider } from './columns';

interface Row {
  model: string;
  /** Clients may ask for it by its bare name. */
  served: boolean;
  offered?: boolean;
  resting?: Schemas['RestingModel'];
}

/** The models of a provider: what is declared, what it says it has, what rests. */
export function DetailModels({ provider }: { provider: Provider }) {
  const { t } = useTranslation(['providers', 'common']);
  const [text, setText] = useState('');
  const [asked, setAsked] = useState(false);
  const params = { path: { id: provider.name } };
  const own = useQuery({
    queryKey: ['get', '/admin/api/providers', provider.name, 'models'],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/providers/{id}/models', { params, signal })).data as Schemas['ModelsOfProvider'],
    enabled: asked,
    retry: false,
    staleTime: 0,
    gcTime: 0,
  });
  const rows = useMemo(() => {
    const found = new Map<string, Row>();
    const get = (model: string) => {
      const row = found.get(model) ?? { model, served: false };
      found.set(model, row);
      return row;
    };
    for (const model of provider.models ?? []) get(model).served = true;
    for (const model of own.data?.models ?? []) get(model).offered = true;
    for (const resting of provider.resting_models ?? []) get(resting.model).resting = resting;
    const words = text.trim().toLowerCase();
    return [...found.values()].filter((row) => row.model.toLowerCase().includes(words));
  }, [provider, own.data, text]);
  const changeable = provider.origin === 'database';
  const columns = useMemo<ColumnDef<Row>[]>(
    () => [
      { id: 'model', accessorKey: 'model', header: t('columns.model'), meta: { width: 'minmax(160px, 1fr)' }, cell: ({ row: { original } }) => <bdi title={original.model}>{original.model}</bdi> },
      {
        id: 'marks',
        header: t('columns.state'),
        meta: { width: 'minmax(120px, 220px)' },
        cell: ({ row: { original } }) => (
          <Group gap={4} wrap="nowrap">
            {original.resting && <StateBadge state={original.resting.state} until={original.resting.until} reason={[original.resting.cause, original.resting.reason].filter(Boolean).join(': ')} />}
            {original.served && <Badge color="teal">{t('models.isServed')}</Badge>}
            {own.data && original.served && !original.offered && <Badge color="orange">{t('models.notOffered')}</Badge>}
          </Group>
        ),
      },
      ...(changeable
        ? [
            {
              id: 'serve',
              header: () => <VisuallyHidden>{t('columns.actions')}</VisuallyHidden>,
              meta: { width: '112px', align: 'right' },
              cell: ({ row: { original } }: { row: { original: Row } }) => (
                <ServeButton provider={provider.name} model={original.model} served={original.served} />
              ),
            } satisfies ColumnDef<Row>,
          ]
        : []),
    ],
    [t, own.data, changeable, provider.name],
  );
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        {t('models.detail')}
      </Text>
      <Group gap="xs">
        <TextInput flex={1} miw={160} size="xs" value={text} onChange={(event) => setText(event.currentTarget.value)} placeholder={t('models.search')} aria-label={t('models.search')} leftSection={<IconSearch size={14} />} />
        <Button
          size="xs"
          variant="light"
          leftSection={<IconListSearch size={15} />}
          loading={own.isFetching}
          onClick={() => {
            if (asked) void own.refetch();
            else setAsked(true);
          }}
        >
          {t('models.fetch')}
        </Button>
      </Group>
      <ProblemAlert problem={own.error} onRetry={() => void own.refetch()} />
      {own.data && (
        <Text size="xs" c="dimmed" role="status">
          {t('try.models', { count: own.data.models.length })}
        </Text>
      )}
      <DataTable
        label={t('models.title')}
        list={{ rows }}
        columns={columns}
        id={(row) => row.model}
        rowHeight={40}
        height="min(52dvh, 520px)"
        empty={<Empty title={t('models.nothing')}>{t('models.nothingText')}</Empty>}
      />
    </Stack>
  );
}

/** Makes a model one that clients may ask for by its bare name, or takes it out of those. */
function ServeButton({ provider, model, served }: { provider: string; model: string; served: boolean }) {
  const { t } = useTranslation(['providers', 'common']);
  const turn = useAct(
    async (on: boolean) => {
      const params = { path: { id: provider } };
      // What is there now, not what was shown: the list may have been changed with another click a moment ago.
      const now = (await api.GET('/admin/api/providers/{id}', { params })).data as Provider;
      const models = (now.models ?? []).filter((one) => one !== model);
      await api.PATCH('/admin/api/providers/{id}', { params, headers: ifMatch(now.revision), body: { models: on ? [...models, model] : models } });
    },
    { refreshes: ['/admin/api/providers', '/admin/api/models'], done: (_, on) => t(on ? 'models.served' : 'models.unserved', { model }) },
  );
  return (
    <Button size="compact-xs" variant="default" loading={turn.isPending} onClick={() => turn.run(!served)}>
      {served ? t('models.remove') : t('models.serve')}
    </Button>
  );
}
