import { Badge, Button, Checkbox, Group, Loader, Modal, ScrollArea, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ProblemAlert } from '../../widgets/ProblemAlert';
import { found, useModelsOf, useTargets } from './useTargets';

/** More are not drawn at once; the search narrows. */
const MOST = 250;

/** Chooses targets: by provider, by search, or typed by hand. */
export function AddTargets({ opened, onClose, there, except, onAdd }: { opened: boolean; onClose: () => void; there: string[]; except?: string; onAdd: (targets: string[]) => void }) {
  const { t } = useTranslation(['pools', 'common']);
  return (
    <Modal opened={opened} onClose={onClose} title={t('add.title')} size="lg">
      {opened && <Choice there={there} except={except} onAdd={(targets) => (onAdd(targets), onClose())} />}
    </Modal>
  );
}

function Choice({ there, except, onAdd }: { there: string[]; except?: string; onAdd: (targets: string[]) => void }) {
  const { t } = useTranslation(['pools', 'common']);
  const [provider, setProvider] = useState('');
  const [typed, setTyped] = useState('');
  const [chosen, setChosen] = useState<string[]>([]);
  const known = useTargets();
  const own = useModelsOf(provider);
  const options = useMemo(() => {
    if (provider === '') return [...known.targets, ...known.names.filter((name) => name !== except)];
    const fetched = own.models.map((model) => `${provider}/${model}`);
    return [...new Set([...known.targets.filter((target) => target.startsWith(`${provider}/`)), ...fetched])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  }, [provider, known, own.models, except]);
  const shown = useMemo(() => found(options, typed), [options, typed]);
  const text = typed.trim();
  const byHand = text === '' || text.includes(' ') ? '' : provider !== '' && !text.startsWith(`${provider}/`) ? `${provider}/${text}` : text.includes('/') ? text : '';
  const canByHand = byHand !== '' && !options.includes(byHand) && !there.includes(byHand) && !chosen.includes(byHand);
  const toggle = (target: string) => setChosen((chosen) => (chosen.includes(target) ? chosen.filter((other) => other !== target) : [...chosen, target]));
  return (
    <Stack gap="sm">
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <TextInput label={t('common:search')} leftSection={<IconSearch size={15} />} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} placeholder={t('add.placeholder')} data-autofocus spellCheck={false} autoComplete="off" />
        <Select
          label={t('add.provider')}
          data={[{ value: '', label: t('add.known') }, ...known.providers.map((name) => ({ value: name, label: name }))]}
          value={provider}
          onChange={(value) => setProvider(value ?? '')}
          allowDeselect={false}
          searchable={known.providers.length > 8}
          rightSection={own.isFetching ? <Loader size={14} /> : undefined}
        />
      </SimpleGrid>
      {own.error && (
        <div>
          <ProblemAlert problem={own.error} onRetry={() => void own.refetch()} />
          <Text size="sm" mt={4}>
            {t('add.byHandInstead')}
          </Text>
        </div>
      )}
      <ProblemAlert problem={known.error} />
      <ScrollArea.Autosize mah="46dvh" type="auto" viewportProps={{ tabIndex: 0, role: 'group', 'aria-label': t('add.list') }}>
        <Stack gap={6} p={4}>
          {canByHand && (
            <Group>
              <Button size="xs" variant="light" leftSection={<IconPlus size={14} />} onClick={() => (toggle(byHand), setTyped(''))}>
                {t('add.byHand', { target: byHand })}
              </Button>
            </Group>
          )}
          {chosen
            .filter((target) => !options.includes(target))
            .map((target) => (
              <Checkbox key={target} checked onChange={() => toggle(target)} label={<bdi>{target}</bdi>} />
            ))}
          {shown.slice(0, MOST).map((target) => (
            <Checkbox
              key={target}
              checked={there.includes(target) || chosen.includes(target)}
              disabled={there.includes(target)}
              onChange={() => toggle(target)}
              label={
                <Group gap={6}>
                  <bdi>{target}</bdi>
                  {!target.includes('/') && <Badge size="sm">{t('add.name')}</Badge>}
                  {there.includes(target) && (
                    <Text span size="xs" c="dimmed">
                      {t('add.there')}
                    </Text>
                  )}
                </Group>
              }
            />
          ))}
          {shown.length > MOST && (
            <Text size="xs" c="dimmed">
              {t('add.more', { count: shown.length - MOST })}
            </Text>
          )}
          {shown.length === 0 && !canByHand && !known.isPending && !own.isFetching && (
            <Text size="sm" c="dimmed">
              {t('add.nothing')}
            </Text>
          )}
        </Stack>
      </ScrollArea.Autosize>
      <Group justify="flex-end">
        <Button onClick={() => onAdd(chosen)} disabled={chosen.length === 0}>
          {t('add.do', { count: chosen.length })}
        </Button>
      </Group>
    </Stack>
  );
}
