import { Button, Checkbox, Group, Loader, Modal, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useCallback, useDeferredValue, useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useUnsaved } from '../../widgets/unsaved';
import { OptionList } from './OptionList';
import { found, useModelsOf, useTargets } from './useTargets';

/** Chooses targets: by provider, by search, or typed by hand. */
export function AddTargets({ opened, onClose, there, except, onAdd }: { opened: boolean; onClose: () => void; there: string[]; except?: string; onAdd: (targets: string[]) => void }) {
  const { t } = useTranslation(['pools', 'common']);
  const [dirty, setDirty] = useState(false);
  const { leave, settle } = useUnsaved(dirty, 'open', 'new');
  const add = (targets: string[]) => {
    settle();
    onAdd(targets);
    onClose();
  };
  return (
    <Modal opened={opened} onClose={() => void leave(onClose)} closeOnClickOutside={false} title={t('add.title')} size="lg">
      {opened && <Choice there={there} except={except} onDirty={setDirty} onAdd={add} />}
    </Modal>
  );
}

interface ChoiceProps {
  there: string[];
  except?: string;
  /** Whether anything is ticked. */
  onDirty: (dirty: boolean) => void;
  onAdd: (targets: string[]) => void;
}

function Choice({ there, except, onDirty, onAdd }: ChoiceProps) {
  const { t } = useTranslation(['pools', 'common']);
  const [provider, setProvider] = useState('');
  const [typed, setTyped] = useState('');
  const [chosen, setChosen] = useState<string[]>([]);
  useEffect(() => onDirty(chosen.length > 0), [chosen, onDirty]);
  const known = useTargets();
  const own = useModelsOf(provider);
  const options = useMemo(() => {
    if (provider === '') return [...known.targets, ...known.names.filter((name) => name !== except)];
    const fetched = own.models.map((model) => `${provider}/${model}`);
    return [...new Set([...known.targets.filter((target) => target.startsWith(`${provider}/`)), ...fetched])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  }, [provider, known, own.models, except]);
  // The field follows the typing at once, the list when there is time.
  const searched = useDeferredValue(typed);
  const shown = useMemo(() => found(options, searched), [options, searched]);
  const text = typed.trim();
  const byHand = text === '' || text.includes(' ') ? '' : provider !== '' && !text.startsWith(`${provider}/`) ? `${provider}/${text}` : text.includes('/') ? text : '';
  const canByHand = byHand !== '' && !options.includes(byHand) && !there.includes(byHand) && !chosen.includes(byHand);
  const toggle = useCallback((target: string) => setChosen((chosen) => (chosen.includes(target) ? chosen.filter((other) => other !== target) : [...chosen, target])), []);
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
          rightSection={own.isFetching || known.isPending ? <Loader size={14} /> : undefined}
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
      {shown.length > 0 ? (
        <OptionList options={shown} chosen={chosen} there={there} onToggle={toggle} />
      ) : (
        !canByHand &&
        !known.isPending &&
        !own.isFetching && (
          <Text size="sm" c="dimmed">
            {t('add.nothing')}
          </Text>
        )
      )}
      <Group justify="flex-end">
        <Button onClick={() => onAdd(chosen)} disabled={chosen.length === 0}>
          {t('add.do', { count: chosen.length })}
        </Button>
      </Group>
    </Stack>
  );
}
