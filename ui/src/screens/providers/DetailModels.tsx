import { ActionIcon, Badge, Button, Group, Stack, Text, TextInput, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconListCheck, IconListSearch, IconPlayerPlay, IconSearch } from '@tabler/icons-react';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { DataTable } from '../../widgets/DataTable';
import { Empty } from '../../widgets/Empty';
import { StateBadge } from '../../widgets/StateBadge';
import { isChat } from './add/draft';
import { TryReport } from './add/TryReport';
import { useTry } from './add/useTry';
import { ChooseModels } from './ChooseModels';
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
  // What it says it has; `null` as long as it did not say.
  const [offered, setOffered] = useState<string[] | null>(null);
  const [choosing, setChoosing] = useState(false);
  const attempt = useTry();
  const { run } = attempt;
  // It may take long, or nothing comes: asked for in the way of a test, so that it is seen, given up and explained like one.
  const list = useTry();
  const askList = async () => {
    const told = await list.run({ provider: provider.name });
    // Some services list a model twice.
    if (told?.outcome === 'answered') setOffered([...new Set(told.models)]);
  };
  const rows = useMemo(() => {
    const found = new Map<string, Row>();
    const get = (model: string) => {
      const row = found.get(model) ?? { model, served: false };
      found.set(model, row);
      return row;
    };
    for (const model of provider.models ?? []) get(model).served = true;
    for (const model of offered ?? []) get(model).offered = true;
    for (const resting of provider.resting_models ?? []) get(resting.model).resting = resting;
    const words = text.trim().toLowerCase();
    return [...found.values()].filter((row) => row.model.toLowerCase().includes(words));
  }, [provider, offered, text]);
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
            {offered && original.served && !original.offered && <Badge color="orange">{t('models.notOffered')}</Badge>}
          </Group>
        ),
      },
      {
        id: 'ask',
        header: () => <VisuallyHidden>{t('columns.actions')}</VisuallyHidden>,
        meta: { width: '52px', align: 'right' },
        cell: ({ row: { original } }) =>
          isChat(original.model) && (
            <Tooltip label={t('models.ask')}>
              <ActionIcon variant="subtle" onClick={() => void run({ provider: provider.name, model: original.model })} aria-label={`${t('models.ask')}: ${original.model}`}>
                <IconPlayerPlay size={16} />
              </ActionIcon>
            </Tooltip>
          ),
      },
    ],
    [t, offered, run, provider.name],
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
          loading={list.pending}
          onClick={() => void askList()}
        >
          {t('models.fetch')}
        </Button>
        {provider.origin === 'database' && (
          <Button
            size="xs"
            leftSection={<IconListCheck size={15} />}
            onClick={() => {
              if (!offered && !list.pending) void askList();
              setChoosing(true);
            }}
          >
            {t('models.choose')}
          </Button>
        )}
      </Group>
      <div aria-live="polite">
        <TryReport attempt={attempt} />
        {!list.given && list.result?.outcome !== 'answered' && <TryReport attempt={list} onRetry={() => void askList()} />}
      </div>
      {offered && (
        <Text size="xs" c="dimmed" role="status">
          {t('try.models', { count: offered.length })}
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
      <ChooseModels provider={provider} offered={offered} list={list} onAsk={() => void askList()} opened={choosing} onClose={() => setChoosing(false)} />
    </Stack>
  );
}
