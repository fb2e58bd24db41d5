import { Group, NumberInput, PasswordInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { DefinitionForm } from '../providers/definition/DefinitionForm';
import { useDefinition } from '../providers/definition/useDefinition';
import { REFRESHES } from './acts';
import type { Credential } from './quota';

const USUAL = ['name', 'weight', 'priority', 'requests', 'pace', 'project', 'key', 'refresh_token', 'key_file', 'session_token'];

/** Its name stands beside the definition, but is changed with it. */
const withName = (credential: Credential): Credential => ({ ...credential, definition: { name: credential.label, ...credential.definition } });

/** Changes how a credential of the database is declared. Its secret is not shown; another one may be given. */
export function CredentialForm({ credential, onSaved }: { credential: Credential; onSaved: () => void }) {
  const { t } = useTranslation(['credentials', 'common']);
  const [secret, setSecret] = useState('');
  const params = { path: { id: credential.id } };
  const form = useDefinition<Credential>(withName(credential), USUAL, {
    send: async (patch, headers) =>
      withName((await api.PATCH('/admin/api/credentials/{id}', { params, headers, body: patch as Schemas['ChangeCredential'] })).data as Credential),
    reload: async () => withName((await api.GET('/admin/api/credentials/{id}', { params })).data as Credential),
    refreshes: REFRESHES,
    onSaved: () => {
      setSecret('');
      onSaved();
    },
  });
  const member = credential.definition?.key_file != null ? 'key_file' : credential.kind === 'account' ? 'refresh_token' : 'key';
  const text = (name: string) => ({
    value: String(form.fields[name] ?? ''),
    error: form.errors[name],
    onChange: (event: { currentTarget: HTMLInputElement }) => form.set(name, event.currentTarget.value),
  });
  const number = (name: string, placeholder: string) => ({
    miw: 110,
    min: 1,
    max: 4_000_000_000,
    allowDecimal: false,
    placeholder,
    value: (form.fields[name] as number | undefined) ?? '',
    error: form.errors[name],
    onChange: (value: number | string) => form.set(name, value === '' ? undefined : Number(value)),
  });
  return (
    <DefinitionForm form={form} more={secret.trim() !== ''} onSave={() => form.save(secret.trim() ? { [member]: secret.trim() } : {})}>
      <TextInput label={t('form.name')} autoComplete="off" {...text('name')} />
      <Group grow align="flex-start" gap="sm" preventGrowOverflow={false}>
        <NumberInput label={t('form.weight')} {...number('weight', '1')} />
        <NumberInput label={t('form.priority')} {...number('priority', '1')} />
        <NumberInput label={t('form.requests')} {...number('requests', t('form.any'))} />
        <TextInput label={t('form.pace')} miw={110} placeholder="60/m" autoComplete="off" {...text('pace')} />
      </Group>
      {credential.kind === 'account' && <TextInput label={t('form.project')} autoComplete="off" {...text('project')} />}
      <PasswordInput
        label={t(`form.secrets.${member}`)}
        description={t('form.secretHint')}
        placeholder={credential.masked ?? undefined}
        autoComplete="new-password"
        value={secret}
        error={form.errors[member]}
        onChange={(event) => setSecret(event.currentTarget.value)}
      />
    </DefinitionForm>
  );
}
