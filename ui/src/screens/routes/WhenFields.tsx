import { ActionIcon, Button, Fieldset, Group, NumberInput, Select, SimpleGrid, Stack, TagsInput, Text, TextInput } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { PROTOCOLS } from '../explain/ask';
import { ModelInput } from '../explain/ModelInput';
import { type Draft, goesFirst, isEmpty, type When } from './route';
import { TargetInput } from './TargetInput';

interface Props {
  draft: Draft;
  set: (next: Partial<Draft>) => void;
  errors: Record<string, string>;
  touched: boolean;
  readOnly: boolean;
}

/** When a rule holds, where it leads, and when it is asked. */
export function WhenFields({ draft, set, errors, touched, readOnly }: Props) {
  const { t } = useTranslation(['routes', 'common']);
  const { when } = draft;
  const keys = useAll('/admin/api/keys', 'keys', {}, { staleTime: 60_000, enabled: !readOnly });
  const users = useAll('/admin/api/users', 'users', {}, { staleTime: 60_000, enabled: !readOnly });
  const callers = useMemo(() => [...new Set([...keys.rows, ...users.rows].flatMap(({ name }) => (name ? [name] : [])))], [keys.rows, users.rows]);
  const change = (next: Partial<When>) => set({ when: { ...when, ...next } });
  const header = (at: number, next: Partial<When['headers'][number]>) => change({ headers: when.headers.map((one, place) => (place === at ? { ...one, ...next } : one)) });
  const first = goesFirst(when, draft.overrides === '' ? null : draft.overrides === 'yes');
  return (
    <Stack gap="md">
      <Fieldset legend={t('form.when')} disabled={readOnly}>
        <Stack gap="sm">
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <ModelInput label={t('form.model')} description={t('form.modelHint')} value={when.model} onChange={(model) => change({ model })} error={errors['match.model']} placeholder="gpt-*" />
            <TagsInput label={t('form.keywords')} description={t('form.keywordsHint')} value={when.keywords} onChange={(keywords) => change({ keywords })} error={errors['match.model_contains']} placeholder={when.keywords.length === 0 ? 'sonnet' : undefined} />
            <Select
              label={t('form.protocol')}
              data={[{ value: '', label: t('form.any') }, ...PROTOCOLS.map((value) => ({ value, label: t(`common:protocols.${value}`) }))]}
              value={when.protocol}
              onChange={(protocol) => change({ protocol: protocol ?? '' })}
              allowDeselect={false}
              error={errors['match.protocol']}
            />
            <TagsInput label={t('form.callers')} description={t('form.callersHint')} data={callers} limit={30} value={when.callers} onChange={(callers) => change({ callers })} error={errors['match.caller']} />
          </SimpleGrid>
          <div>
            <Text size="sm" fw={500}>
              {t('form.headers')}
            </Text>
            <Stack gap={6} mt={4}>
              {when.headers.map((one, at) => (
                <Group key={at} gap={6} wrap="nowrap">
                  <TextInput style={{ flex: 1 }} value={one.name} onChange={(event) => header(at, { name: event.currentTarget.value })} placeholder="x-team" aria-label={t('form.headerName', { at: at + 1 })} />
                  <TextInput
                    style={{ flex: 1 }}
                    value={one.value}
                    onChange={(event) => header(at, { value: event.currentTarget.value })}
                    placeholder="platform-*"
                    aria-label={t('form.headerValue', { at: at + 1 })}
                    error={errors[`match.header.${one.name}`]}
                  />
                  <ActionIcon variant="subtle" color="gray" onClick={() => change({ headers: when.headers.filter((_, place) => place !== at) })} aria-label={t('form.headerRemove', { at: at + 1 })}>
                    <IconX size={16} />
                  </ActionIcon>
                </Group>
              ))}
              {!readOnly && (
                <Group>
                  <Button size="compact-xs" variant="default" leftSection={<IconPlus size={13} />} onClick={() => change({ headers: [...when.headers, { name: '', value: '*' }] })}>
                    {t('form.headerAdd')}
                  </Button>
                </Group>
              )}
            </Stack>
          </div>
          {touched && isEmpty(when) && (
            <Text size="sm" c="var(--mantine-color-error)" role="alert">
              {t('form.noCondition')}
            </Text>
          )}
        </Stack>
      </Fieldset>
      <Fieldset legend={t('form.then')} disabled={readOnly}>
        <Stack gap="sm">
          <TargetInput
            label={t('form.to')}
            description={t('form.toHint')}
            value={draft.to}
            onChange={(to) => set({ to })}
            required
            error={errors.to ?? (touched && draft.to.trim() === '' ? t('form.toMissing') : undefined)}
            placeholder="openai/gpt-5"
          />
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <Select
              label={t('form.order')}
              description={t(first ? 'form.isFirst' : 'form.isLater')}
              data={[
                { value: '', label: t('form.orderUsual') },
                { value: 'yes', label: t('form.orderFirst') },
                { value: 'no', label: t('form.orderLater') },
              ]}
              value={draft.overrides}
              onChange={(overrides) => set({ overrides: (overrides ?? '') as Draft['overrides'] })}
              allowDeselect={false}
              error={errors.overrides}
            />
            <NumberInput label={t('form.priority')} description={t('form.priorityHint')} value={draft.priority} onChange={(priority) => typeof priority === 'number' && set({ priority })} min={0} max={4_294_967_295} allowDecimal={false} allowNegative={false} error={errors.priority} />
            <TextInput label={t('form.name')} description={t('form.nameHint')} value={draft.name} onChange={(event) => set({ name: event.currentTarget.value })} error={errors.name} autoComplete="off" />
          </SimpleGrid>
        </Stack>
      </Fieldset>
    </Stack>
  );
}
