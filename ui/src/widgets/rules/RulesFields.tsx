import { MultiSelect, Stack, Switch, TagsInput } from '@mantine/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { LimitsField } from './LimitsField';
import type { RulesDraft } from './rules';

interface Props {
  value: RulesDraft;
  onChange: (next: Partial<RulesDraft>) => void;
  errors?: Record<string, string>;
  touched?: boolean;
}

/** Names of models that somebody may type; those that are there are offered. */
export function useModelNames(enabled = true): string[] {
  const { rows } = useAll('/admin/api/models', 'models', {}, { enabled, staleTime: 60_000 });
  return useMemo(() => rows.map(({ name }) => name), [rows]);
}

/** What a key, user or team may do. An empty list allows everything of its kind. */
export function RulesFields({ value, onChange, errors = {}, touched }: Props) {
  const { t } = useTranslation();
  const models = useModelNames();
  const listError = (name: string) => errors[name] ?? Object.entries(errors).find(([path]) => path.startsWith(`${name}.`))?.[1];
  return (
    <Stack gap="sm">
      <TagsInput
        label={t('rules.models')}
        description={t('rules.modelsHint')}
        placeholder={value.models.length === 0 ? t('rules.everything') : undefined}
        data={models}
        limit={50}
        value={value.models}
        error={listError('models')}
        onChange={(models) => onChange({ models })}
      />
      <TagsInput
        label={t('rules.pools')}
        description={t('rules.poolsHint')}
        placeholder={value.pools.length === 0 ? t('rules.everything') : undefined}
        value={value.pools}
        error={listError('pools')}
        onChange={(pools) => onChange({ pools })}
      />
      <MultiSelect
        label={t('rules.protocols')}
        placeholder={value.protocols.length === 0 ? t('rules.everything') : undefined}
        data={(['chat', 'responses', 'messages', 'gemini'] as const).map((name) => ({ value: name, label: t(`protocols.${name}`) }))}
        value={value.protocols}
        error={listError('protocols')}
        onChange={(protocols) => onChange({ protocols })}
      />
      <TagsInput
        label={t('rules.networks')}
        description={t('rules.networksHint')}
        placeholder={value.networks.length === 0 ? t('rules.everywhere') : '10.0.0.0/8'}
        value={value.networks}
        error={listError('networks')}
        onChange={(networks) => onChange({ networks })}
      />
      <LimitsField value={value.limits} onChange={(limits) => onChange({ limits })} errors={errors} touched={touched} />
      <Switch
        label={t('rules.capture')}
        description={t('rules.captureHint')}
        checked={value.capture}
        onChange={(event) => onChange({ capture: event.currentTarget.checked })}
      />
    </Stack>
  );
}
