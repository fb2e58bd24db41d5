import { Button, Group, MultiSelect, Select, SimpleGrid, Stack, TagsInput, Text, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { AddTargets } from './AddTargets';
import { type Draft, groupsOf, type Pool, providerOf, sharesByRow, STRATEGIES, type Tier, TIER_WORDS, TIERS, withTargets } from './pool';
import { Preview } from './Preview';
import { TargetList } from './TargetList';

interface Props {
  draft: Draft;
  change: (next: Partial<Draft>, joins?: boolean) => void;
  making: boolean;
  readOnly: boolean;
  pools: Pool[];
  definition: Record<string, unknown>;
  errors: Record<string, string>;
}

/** Everything that a pool is made of. */
export function PoolForm({ draft, change, making, readOnly, pools, definition, errors }: Props) {
  const { t } = useTranslation(['pools', 'common']);
  const [adding, setAdding] = useState(false);
  const shares = useMemo(() => sharesByRow(draft), [draft]);
  const targets = groupsOf(draft.rows).flatMap((group) => group.targets.map((row) => row.target));
  const providers = [...new Set(targets.map(providerOf))];
  const wrong = Object.fromEntries(Object.entries(errors).flatMap(([path, text]) => (/^targets\.(\d+)/.test(path) ? [[Number(path.split('.')[1]), text]] : [])));
  const words = draft.tier === '' ? [] : TIER_WORDS[draft.tier];
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        {making && (
          <TextInput label={t('form.name')} description={t('form.nameHint')} value={draft.name} onChange={(event) => change({ name: event.currentTarget.value }, true)} error={errors.name} required data-autofocus spellCheck={false} autoComplete="off" />
        )}
        <Select
          label={t('form.tier')}
          description={t('form.tierHint')}
          data={[{ value: '', label: t('form.noTier') }, ...TIERS.map((tier) => ({ value: tier, label: t(`tiers.${tier}`) }))]}
          value={draft.tier}
          onChange={(tier) => change({ tier: (tier ?? '') as Tier | '' })}
          allowDeselect={false}
          disabled={readOnly}
          error={errors.tier}
        />
        <Select
          label={t('form.strategy')}
          description={t(`strategyHints.${draft.strategy}`, { defaultValue: '' })}
          data={STRATEGIES.map((value) => ({ value, label: t(`strategies.${value}`) }))}
          value={draft.strategy}
          onChange={(strategy) => change({ strategy: strategy ?? 'round_robin' })}
          allowDeselect={false}
          disabled={readOnly}
          error={errors.strategy}
        />
      </SimpleGrid>
      <section aria-label={t('list.title')}>
        <Group justify="space-between" mb={2}>
          <Text size="sm" fw={600}>
            {t('list.title')}
          </Text>
          {!readOnly && (
            <Button size="xs" variant="light" leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)}>
              {t('list.add')}
            </Button>
          )}
        </Group>
        {!readOnly && (
          <Text size="xs" c="dimmed">
            {t('list.how')}
          </Text>
        )}
        <TargetList rows={draft.rows} onChange={(rows, joins) => change({ rows }, joins)} shares={shares} providers={providers} errors={wrong} ordered={draft.strategy === 'ordered'} readOnly={readOnly} />
        {errors.targets && (
          <Text size="xs" c="red.9" role="alert" mt={4}>
            {errors.targets}
          </Text>
        )}
      </section>
      <Preview definition={definition} providers={providers} />
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <TagsInput
          label={t('form.words')}
          description={words.length > 0 && draft.words.length === 0 ? t('form.wordsOfTier', { words: words.join(', ') }) : t('form.wordsHint')}
          value={draft.words}
          onChange={(words) => change({ words })}
          disabled={readOnly}
          error={errors.words}
          clearable
        />
        <MultiSelect
          label={t('form.fallbacks')}
          description={t('form.fallbacksHint')}
          data={[...new Set([...pools.map((pool) => pool.name).filter((name) => name !== draft.name), ...draft.fallbacks])]}
          value={draft.fallbacks}
          onChange={(fallbacks) => change({ fallbacks })}
          disabled={readOnly}
          error={errors.fallbacks}
          searchable
          clearable
          nothingFoundMessage={t('form.noPools')}
        />
      </SimpleGrid>
      <AddTargets opened={adding} onClose={() => setAdding(false)} there={targets} except={draft.name} onAdd={(more) => change({ rows: withTargets(draft.rows, more) })} />
    </Stack>
  );
}
