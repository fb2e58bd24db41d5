import { ActionIcon, Button, Fieldset, Group, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useSession } from '../../app/session';
import { amountProblem, type LimitDraft } from './rules';

const WHAT = ['requests', 'tokens', 'money', 'concurrency'] as const;
const WINDOWS = ['minute', 'day', 'month', 'total'] as const;

interface Props {
  value: LimitDraft[];
  onChange: (limits: LimitDraft[]) => void;
  /** What the gateway said of a limit, by its place. */
  errors?: Record<string, string>;
  /** Mistakes are told once somebody tried to save. */
  touched?: boolean;
}

/** How much may be used, by what it is counted in and by when it starts anew. */
export function LimitsField({ value, onChange, errors = {}, touched }: Props) {
  const { t } = useTranslation();
  const { currency } = useSession();
  const set = (at: number, next: Partial<LimitDraft>) => onChange(value.map((limit, index) => (index === at ? { ...limit, ...next } : limit)));
  return (
    <Fieldset legend={t('rules.limits')} p="sm">
      <Stack gap="sm">
        {value.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('rules.noLimits')}
          </Text>
        )}
        {value.map((limit, at) => {
          const problem = amountProblem(limit.what, limit.amount);
          const told = Object.entries(errors).find(([path]) => path === `limits.${at}` || path.startsWith(`limits.${at}.`))?.[1];
          return (
            <Group key={at} gap="xs" align="flex-end" wrap="wrap">
              <NativeSelect
                label={t('rules.what')}
                data={WHAT.map((what) => ({ value: what, label: t(`rules.of.${what}`) }))}
                value={limit.what}
                onChange={(event) => set(at, { what: event.currentTarget.value as LimitDraft['what'] })}
              />
              <TextInput
                label={limit.what === 'money' && currency ? t('rules.amountMoney', { currency }) : t('rules.amount')}
                w={130}
                inputMode="decimal"
                value={limit.amount}
                error={told ?? (touched && problem ? t(`rules.amountProblem.${problem}`) : undefined)}
                onChange={(event) => set(at, { amount: event.currentTarget.value })}
              />
              {limit.what !== 'concurrency' && (
                <NativeSelect
                  label={t('rules.per')}
                  data={WINDOWS.map((window) => ({ value: window, label: t(`rules.windows.${window}`) }))}
                  value={limit.window}
                  onChange={(event) => set(at, { window: event.currentTarget.value as LimitDraft['window'] })}
                />
              )}
              <TextInput
                label={t('rules.onlyModels')}
                placeholder="claude-*"
                w={150}
                value={limit.models}
                onChange={(event) => set(at, { models: event.currentTarget.value })}
              />
              <ActionIcon variant="subtle" color="red" size="lg" aria-label={t('rules.removeLimit')} onClick={() => onChange(value.filter((_, index) => index !== at))}>
                <IconTrash size={18} />
              </ActionIcon>
            </Group>
          );
        })}
        <Button
          variant="default"
          size="xs"
          style={{ alignSelf: 'flex-start' }}
          leftSection={<IconPlus size={14} />}
          onClick={() => onChange([...value, { what: 'requests', window: 'minute', amount: '', models: '' }])}
        >
          {t('rules.addLimit')}
        </Button>
      </Stack>
    </Fieldset>
  );
}
