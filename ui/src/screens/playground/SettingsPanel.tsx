import { Button, NumberInput, Select, SimpleGrid, Stack, Switch, Text, Textarea } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { EXAMPLE_TOOLS, type Lane, readTools, type Settings } from './conversation';
import { SPEECH } from './protocols';
import { DEFAULT_MAX_TOKENS } from './protocols/messages';
import { EFFORTS } from './protocols/neutral';

interface Props {
  settings: Settings;
  lanes: Lane[];
  raw: boolean;
  onChange: (next: Partial<Settings>) => void;
  mending: boolean;
  onMended: () => void;
}

/** What goes along with every request. */
export function SettingsPanel({ settings, lanes, raw, onChange, mending, onMended }: Props) {
  const { t } = useTranslation(['playground', 'common']);
  const tools = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (!mending) return;
    tools.current?.focus();
    onMended();
  }, [mending, onMended]);
  const stream = <Switch label={t('settings.stream')} checked={settings.stream} onChange={(event) => onChange({ stream: event.currentTarget.checked })} />;
  if (raw) {
    return (
      <Stack gap="sm">
        <Text size="sm">{t('settings.raw')}</Text>
        {lanes[0]?.protocol === 'gemini' && stream}
      </Stack>
    );
  }
  const read = readTools(settings.tools);
  const effortsOnly = settings.reasoning === 'budget' && lanes.some((lane) => !SPEECH[lane.protocol].budget);
  const number = (name: 'maxTokens' | 'temperature' | 'budget') => ({
    size: 'sm' as const,
    label: t(`settings.${name}`),
    value: settings[name] === '' ? '' : Number(settings[name]),
    onChange: (value: string | number) => onChange({ [name]: String(value) }),
    min: 0,
  });
  return (
    <Stack gap="sm">
      <Textarea label={t('settings.system')} autosize minRows={2} maxRows={8} value={settings.system} onChange={(event) => onChange({ system: event.currentTarget.value })} placeholder={t('settings.systemPlaceholder')} />
      {stream}
      <SimpleGrid cols={2} spacing="sm">
        <NumberInput {...number('maxTokens')} allowDecimal={false} max={10_000_000} thousandSeparator placeholder={lanes.some(({ protocol }) => protocol === 'messages') ? String(DEFAULT_MAX_TOKENS) : t('settings.unsaid')} />
        <NumberInput {...number('temperature')} max={2} step={0.1} decimalScale={2} placeholder={t('settings.unsaid')} />
        <Select
          label={t('settings.reasoning')}
          allowDeselect={false}
          value={settings.reasoning}
          onChange={(value) => onChange({ reasoning: (value ?? 'default') as Settings['reasoning'] })}
          data={[
            { value: 'default', label: t('settings.unsaid') },
            ...EFFORTS.map((value) => ({ value, label: t(`efforts.${value}`) })),
            { value: 'budget', label: t('settings.byBudget') },
          ]}
        />
        {settings.reasoning === 'budget' && <NumberInput {...number('budget')} allowDecimal={false} max={1_000_000} thousandSeparator />}
      </SimpleGrid>
      {effortsOnly && <Text size="xs" c="dimmed">{t('settings.effortsOnly')}</Text>}
      <Switch label={t('settings.useTools')} description={t('settings.toolsAbout')} checked={settings.useTools} onChange={(event) => onChange({ useTools: event.currentTarget.checked })} />
      {settings.useTools && (
        <>
          <Textarea
            ref={tools}
            label={t('settings.tools')}
            autosize
            minRows={6}
            maxRows={18}
            spellCheck={false}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.78rem' } }}
            value={settings.tools}
            onChange={(event) => onChange({ tools: event.currentTarget.value })}
            error={'wrong' in read ? t(`settings.toolsWrong.${read.wrong}`, { at: read.at ?? 0 }) : null}
          />
          <Button size="compact-sm" variant="subtle" style={{ alignSelf: 'start' }} onClick={() => onChange({ tools: JSON.stringify(EXAMPLE_TOOLS, null, 2) })}>
            {t('settings.example')}
          </Button>
        </>
      )}
    </Stack>
  );
}
