import { Alert, Button, Group, PasswordInput, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../../api/client';
import { Problem } from '../../../api/problem';
import { ProblemAlert } from '../../../widgets/ProblemAlert';
import { type Parsed, parse } from '../../credentials/import/parse';
import { SecretInput } from '../../credentials/import/SecretInput';
import { askedFor, definitionOf, type Draft, nameOfAddress, OPTIONAL, type Protocol, withClient } from './draft';
import { TryReport } from './TryReport';
import type { useTry } from './useTry';

interface Props {
  draft: Draft;
  onChange: (next: Partial<Draft>) => void;
  attempt: ReturnType<typeof useTry>;
  /** On, with what the service said it has; `null` where it was not asked or told nothing. */
  onNext: (entries: Record<string, unknown>[], models: string[] | null) => void;
  onBack: () => void;
}

/** Where the service is and how one gets in; both are tried before anything is saved. */
export function AccessStep({ draft, onChange: change, attempt, onNext, onBack }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const [checking, setChecking] = useState(false);
  const { preset } = draft;
  const needs = askedFor(draft);
  const risky = ['code_assist', 'antigravity', 'warp'].includes(preset?.adapter ?? '');
  // What runs on one's own machines may run on another one.
  const asksAddress = !preset || preset.needs_base_url || preset.local;
  // Of a service that takes accounts alone there is nothing to choose; an API key has no OAuth client.
  const choosable = preset?.auth === 'either';

  // What was asked with other words than those that stand there now leads nowhere.
  const round = useRef(0);
  const stop = () => {
    round.current += 1;
    setChecking(false);
    attempt.reset();
  };
  useEffect(() => () => void (round.current += 1), []);
  const onChange = (next: Partial<Draft>) => {
    stop();
    change(next);
  };

  /** What is missing or cannot be read, before anybody is asked. */
  const check = (draft: Draft, parsed: Parsed): Record<string, string> => {
    const found: Record<string, string> = {};
    if (!draft.name.trim()) found.name = t('access.nameMissing');
    if (!/^https?:\/\/[^/\s]+/.test(draft.address.trim()) && asksAddress) found.base_url = t('access.addressMissing');
    for (const path of needs) if (!OPTIONAL.has(path) && !draft.needs[path]?.trim()) found[path] = t('access.needed');
    const wrong = parsed.items.filter((item) => item.wrong);
    if (wrong.length > 0) found.secrets = t('access.unreadable', { count: wrong.length, first: wrong[0]?.at ?? 1 });
    else if (parsed.items.length === 0 && preset && preset.auth !== 'none') found.secrets = t('access.secretMissing');
    return found;
  };

  const go = async (withTest: boolean) => {
    stop();
    const mine = round.current;
    setProblem(null);
    setChecking(true);
    try {
      const parsed = await parse(draft.secrets, draft.kind);
      if (mine !== round.current) return;
      const whole = withClient(draft, parsed.client);
      change({ needs: whole.needs });
      const found = check(whole, parsed);
      setErrors(found);
      if (Object.keys(found).length > 0) return;
      const entries = parsed.items.flatMap((item) => (item.entry ? [ofNobody(item.entry)] : []));
      const provider = definitionOf(whole, false);
      // Says what is wrong with it, and whether the name is taken, and makes nothing.
      const { data } = await api.POST('/admin/api/import', {
        body: { dry_run: true, providers: [provider], credentials: entries.map((entry) => ({ ...entry, provider: provider.name })) },
      });
      if (mine !== round.current) return;
      if (data?.results.some((one) => one.list === 'providers' && one.result === 'exists')) {
        setErrors({ name: t('access.nameTaken') });
        return;
      }
      if (!withTest) {
        onNext(entries, null);
        return;
      }
      setChecking(false);
      const tried = await attempt.run({ provider, credential: entries[0] });
      if (tried?.outcome === 'answered') onNext(entries, tried.models ?? null);
    } catch (error) {
      if (mine !== round.current) return;
      const problem = Problem.of(error);
      const fields = problem.fieldErrors();
      setErrors(Object.fromEntries(Object.entries(fields).map(([path, text]) => [path.replace(/^providers\.0\.?/, ''), text])));
      setProblem(problem);
    } finally {
      if (mine === round.current) setChecking(false);
    }
  };

  const secretLabel = draft.kind === 'key' ? t('access.keys') : t('access.accounts');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void go(true);
      }}
      autoComplete="off"
    >
      <Stack gap="sm">
        {risky && (
          <Alert color="yellow" variant="light" icon={<IconAlertTriangle />}>
            <Text size="sm">{t('access.terms')}</Text>
          </Alert>
        )}
        {asksAddress && (
          <TextInput
            label={t('access.address')}
            description={t('access.addressHint')}
            placeholder="https://api.example.com/v1"
            required
            value={draft.address}
            error={errors.base_url}
            onChange={(event) => {
              const address = event.currentTarget.value;
              const was = nameOfAddress(draft.address);
              onChange({ address, ...(!preset && (draft.name === '' || draft.name === was) ? { name: nameOfAddress(address) } : {}) });
            }}
            data-autofocus
          />
        )}
        <Group grow align="flex-start" gap="sm" preventGrowOverflow={false}>
          <TextInput
            miw={180}
            label={t('access.name')}
            description={t('access.nameHint')}
            required
            value={draft.name}
            error={errors.name}
            onChange={(event) => onChange({ name: event.currentTarget.value })}
          />
          {!preset && (
            <Select
              miw={180}
              label={t('access.protocol')}
              description={t('access.protocolHint')}
              allowDeselect={false}
              value={draft.protocol}
              data={(['chat', 'responses', 'messages', 'gemini'] as const).map((value) => ({ value, label: t(`common:protocols.${value}`) }))}
              onChange={(value) => value && onChange({ protocol: value as Protocol })}
            />
          )}
        </Group>
        {needs.map((path) => {
          const Field = path.endsWith('secret') ? PasswordInput : TextInput;
          return (
            <Field
              key={path}
              label={t(`access.needs.${path.replace('.', '_')}`, { defaultValue: path })}
              placeholder={path === 'oauth.token_url' && preset?.adapter === 'warp' ? 'https://securetoken.googleapis.com/v1/token?key=…' : undefined}
              withAsterisk={!OPTIONAL.has(path)}
              autoComplete="off"
              value={draft.needs[path] ?? ''}
              error={errors[path]}
              onChange={(event) => onChange({ needs: { ...draft.needs, [path]: event.currentTarget.value } })}
            />
          );
        })}
        {choosable && (
          <SegmentedControl
            aria-label={t('access.kind')}
            value={draft.kind}
            onChange={(kind) => onChange({ kind: kind as Draft['kind'] })}
            data={[
              { value: 'key', label: t('access.keys') },
              { value: 'refresh_token', label: t('access.accounts') },
            ]}
          />
        )}
        <SecretInput
          label={secretLabel}
          description={draft.kind === 'key' ? t(preset?.auth === 'none' || !preset ? 'access.keysOptional' : 'access.keysHint') : t('access.accountsHint')}
          placeholder={draft.kind === 'key' ? 'sk-…' : undefined}
          rows={4}
          value={draft.secrets}
          error={errors.secrets}
          onChange={(secrets) => onChange({ secrets })}
          autoFocus={!asksAddress}
        />
        <div aria-live="polite">
          <ProblemAlert problem={problem} />
          <TryReport attempt={attempt} />
        </div>
        <Group justify="space-between">
          <Button
            variant="default"
            onClick={() => {
              stop();
              onBack();
            }}
          >
            {t('back')}
          </Button>
          <Group gap="xs">
            {(attempt.result || attempt.problem || attempt.given) && !attempt.pending && (
              <Button variant="subtle" onClick={() => void go(false)}>
                {t('access.untested')}
              </Button>
            )}
            <Button type="submit" loading={checking} disabled={attempt.pending}>
              {t('access.test')}
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}

/** They belong to the provider that is made, whatever the file that they come from says. */
function ofNobody({ provider: _, ...entry }: Record<string, unknown>): Record<string, unknown> {
  return entry;
}
