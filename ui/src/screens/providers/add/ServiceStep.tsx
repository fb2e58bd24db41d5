import { Badge, Group, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Empty } from '../../../widgets/Empty';
import { ProblemAlert } from '../../../widgets/ProblemAlert';
import { Waiting } from '../../../widgets/Waiting';
import type { Preset } from './draft';
import classes from './Steps.module.css';
import { usePresets } from './usePresets';

/** Which service: one that is known, or any address. */
export function ServiceStep({ onChoose }: { onChoose: (preset: Preset | null) => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const [text, setText] = useState('');
  const presets = usePresets();
  const words = text.trim().toLowerCase();
  // The gateway tells what services are called in English alone.
  const titleOf = ({ name, title }: Preset) => t(`service.titles.${name}`, { defaultValue: title.replace(/ \([^)]*https:[^)]*\)/, '') });
  const found = (presets.data ?? []).filter((preset) => `${preset.name} ${preset.title} ${titleOf(preset)} ${preset.base_url ?? ''}`.toLowerCase().includes(words));
  return (
    <>
      <TextInput
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        placeholder={t('service.search')}
        aria-label={t('service.search')}
        leftSection={<IconSearch size={16} />}
        data-autofocus
        mb="sm"
        onKeyDown={(event) => {
          // Enter also ends the composition of a word.
          if (event.key === 'Enter' && !event.nativeEvent.isComposing && words && found[0]) onChoose(found[0]);
        }}
      />
      <ProblemAlert problem={presets.error} onRetry={() => void presets.refetch()} />
      {presets.isPending && <Waiting />}
      <div className={classes.cards} role="group" aria-label={t('service.title')}>
        <UnstyledButton className={classes.card} onClick={() => onChoose(null)}>
          <Group gap={6} wrap="nowrap">
            <IconPlus size={16} />
            <Text size="sm" fw={600}>
              {t('service.custom')}
            </Text>
          </Group>
          <Text size="xs" c="dimmed">
            {t('service.customText')}
          </Text>
        </UnstyledButton>
        {found.map((preset) => (
          <UnstyledButton key={preset.name} className={classes.card} onClick={() => onChoose(preset)}>
            <Text size="sm" fw={600} lineClamp={2}>
              {titleOf(preset)}
            </Text>
            <Group gap={4} wrap="nowrap">
              <Text size="xs" c="dimmed" truncate>
                {hostOf(preset.base_url) ?? t('service.own')}
              </Text>
              {preset.local && <Badge size="xs">{t('service.local')}</Badge>}
              {(preset.auth === 'account' || preset.adapter === 'warp') && <Badge size="xs" color="grape">{t('service.account')}</Badge>}
            </Group>
          </UnstyledButton>
        ))}
      </div>
      {presets.data && found.length === 0 && <Empty title={t('service.none')}>{t('service.noneText')}</Empty>}
    </>
  );
}

function hostOf(address: string | null | undefined): string | undefined {
  try {
    return address ? new URL(address).host : undefined;
  } catch {
    return undefined;
  }
}
