import { Group, NumberInput, Select, TagsInput, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../../api/client';
import { DefinitionForm } from './DefinitionForm';
import { useDefinition } from './useDefinition';

type Provider = Schemas['Provider'];

const USUAL = ['preset', 'base_url', 'protocol', 'models', 'strategy', 'requests', 'probe_every', 'proxy'];
const STRATEGIES = ['round_robin', 'least_busy', 'latency', 'ordered'];
const PROTOCOLS = ['chat', 'responses', 'messages', 'gemini'];

/** Changes how a provider of the database is declared. */
export function ProviderForm({ provider, onSaved }: { provider: Provider; onSaved: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const params = { path: { id: provider.name } };
  const form = useDefinition<Provider>(provider, USUAL, {
    send: async (patch, headers) =>
      (await api.PATCH('/admin/api/providers/{id}', { params, headers, body: patch as Schemas['ChangeProvider'] })).data as Provider,
    reload: async () => (await api.GET('/admin/api/providers/{id}', { params })).data as Provider,
    refreshes: ['/admin/api/providers', '/admin/api/models', '/admin/api/problems', '/admin/api/status'],
    onSaved,
  });
  const text = (name: string) => String(form.fields[name] ?? '');
  const preset = text('preset');
  const field = (name: string) => ({
    value: text(name),
    error: form.errors[name],
    onChange: (event: { currentTarget: HTMLInputElement }) => form.set(name, event.currentTarget.value),
  });
  return (
    <DefinitionForm form={form} onSave={() => form.save()}>
      {preset && <TextInput label={t('definition.preset')} value={preset} readOnly variant="filled" />}
      <TextInput label={t('access.address')} description={preset ? t('definition.addressHint') : undefined} {...field('base_url')} />
      <TagsInput
        label={t('models.title')}
        description={t('definition.modelsHint')}
        value={(form.fields.models as string[] | undefined) ?? []}
        onChange={(models) => form.set('models', models.length > 0 ? models : undefined)}
        error={form.errors.models}
        splitChars={[',', ' ', '\n']}
        clearable
      />
      <Group grow align="flex-start" gap="sm" preventGrowOverflow={false}>
        <Select
          miw={170}
          label={t('access.protocol')}
          clearable={preset !== ''}
          placeholder={preset ? t('definition.asPreset') : undefined}
          value={text('protocol') || null}
          data={PROTOCOLS.map((value) => ({ value, label: t(`common:protocols.${value}`) }))}
          onChange={(value) => form.set('protocol', value)}
          error={form.errors.protocol}
        />
        <Select
          miw={170}
          label={t('definition.strategy')}
          clearable
          placeholder={t('strategies.round_robin')}
          value={text('strategy') || null}
          data={STRATEGIES.map((value) => ({ value, label: t(`strategies.${value}`) }))}
          onChange={(value) => form.set('strategy', value)}
          error={form.errors.strategy}
        />
      </Group>
      <Group grow align="flex-start" gap="sm" preventGrowOverflow={false}>
        <NumberInput
          miw={120}
          label={t('definition.requests')}
          placeholder={t('definition.anyNumber')}
          min={1}
          max={1_000_000}
          allowDecimal={false}
          value={(form.fields.requests as number | undefined) ?? ''}
          onChange={(value) => form.set('requests', value === '' ? undefined : Number(value))}
          error={form.errors.requests}
        />
        <TextInput miw={120} label={t('definition.probeEvery')} placeholder="5m" {...field('probe_every')} />
        <TextInput miw={150} label={t('definition.proxy')} placeholder="socks5://host:1080" autoComplete="off" {...field('proxy')} />
      </Group>
    </DefinitionForm>
  );
}
