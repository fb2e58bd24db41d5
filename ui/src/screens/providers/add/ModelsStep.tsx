import { ActionIcon, Button, Checkbox, Group, Stack, Text, TextInput, Tooltip } from '@mantine/core';
import { IconPlayerPlay, IconPlus, IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { isChat } from './draft';
import classes from './Steps.module.css';
import { TryReport } from './TryReport';
import type { useTry } from './useTry';

interface Props {
  /** What the service has; `null` where it has no list or was not asked. */
  offered: string[] | null;
  /** Why there is no list, where that is not the service's way. */
  unlisted?: ReactNode;
  models: string[];
  onChange: (models: string[]) => void;
  attempt: ReturnType<typeof useTry>;
  /** Asks a model something. */
  onTry: (model: string) => void;
  /** Credentials that were pasted: the first of them is what is tested. */
  keys: number;
  /** Whether going on asks a model first. */
  tests: boolean;
  onNext: (withTest: boolean) => void;
  /** Nothing where this is the first step. */
  onBack?: () => void;
}

const ROW = 38;

/** Which of the models are offered to clients. */
export function ModelsStep({ offered, unlisted, models, onChange, attempt, onTry, keys, tests, onNext, onBack }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const [text, setText] = useState('');
  const [typed, setTyped] = useState('');
  const frame = useRef<HTMLDivElement>(null);
  const ticked = useMemo(() => new Set(models), [models]);
  // What was written by hand stands first.
  const all = useMemo(() => [...new Set([...models.filter((model) => !offered?.includes(model)), ...(offered ?? [])])], [offered, models]);
  const words = text.trim().toLowerCase();
  const shown = all.filter((model) => model.toLowerCase().includes(words));
  const virtual = useVirtualizer({ count: shown.length, getScrollElement: () => frame.current, estimateSize: () => ROW, overscan: 12 });
  const add = () => {
    const more = typed.split(/[\s,]+/).filter(Boolean);
    if (more.length === 0) return;
    onChange([...new Set([...models, ...more])]);
    setTyped('');
  };
  const toggle = (model: string, on: boolean) => onChange(on ? [...models, model] : models.filter((one) => one !== model));
  return (
    <Stack gap="sm">
      {unlisted ?? <Text size="sm">{offered?.length ? t(tests ? 'models.about' : 'models.tick', { count: offered.length }) : t('models.noList')}</Text>}
      {keys > 1 && (
        <Text size="sm" c="dimmed">
          {t('models.firstKey', { count: keys })}
        </Text>
      )}
      {all.length > 8 && (
        <Group gap="xs">
          <TextInput
            flex={1}
            miw={180}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            placeholder={t('models.search')}
            aria-label={t('models.search')}
            leftSection={<IconSearch size={16} />}
          />
          <Button variant="default" size="xs" onClick={() => onChange([...new Set([...models, ...shown])])}>
            {words ? t('models.allFound', { count: shown.length }) : t('models.all')}
          </Button>
          <Button variant="default" size="xs" onClick={() => onChange(models.filter((model) => !shown.includes(model)))}>
            {t('models.none')}
          </Button>
        </Group>
      )}
      {all.length > 0 && (
        <div className={classes.list} ref={frame} role="group" aria-label={t('models.title')}>
          <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
            {virtual.getVirtualItems().map((item) => {
              const model = shown[item.index];
              if (model === undefined) return null;
              return (
                <div key={model} className={classes.model} style={{ height: ROW, transform: `translateY(${item.start}px)` }}>
                  <Checkbox flex={1} miw={0} label={<bdi>{model}</bdi>} checked={ticked.has(model)} onChange={(event) => toggle(model, event.currentTarget.checked)} />
                  {isChat(model) && (
                    <Tooltip label={t('models.ask')}>
                      <ActionIcon variant="subtle" onClick={() => onTry(model)} disabled={attempt.pending} aria-label={`${t('models.ask')}: ${model}`}>
                        <IconPlayerPlay size={16} />
                      </ActionIcon>
                    </Tooltip>
                  )}
                </div>
              );
            })}
          </div>
          {shown.length === 0 && (
            <Text size="sm" c="dimmed" p="sm">
              {t('models.notFound')}
            </Text>
          )}
        </div>
      )}
      <Group gap="xs" align="flex-end">
        <TextInput
          flex={1}
          label={t('models.byHand')}
          placeholder="model-name"
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          onKeyDown={(event) => {
            // Enter also ends the composition of a word.
            if (event.key !== 'Enter' || event.nativeEvent.isComposing) return;
            event.preventDefault();
            add();
          }}
        />
        <Button variant="default" leftSection={<IconPlus size={16} />} onClick={add} disabled={!typed.trim()}>
          {t('common:add')}
        </Button>
      </Group>
      <div aria-live="polite">
        <TryReport attempt={attempt} />
      </div>
      <Group justify="space-between">
        {onBack ? (
          <Button variant="default" onClick={onBack}>
            {t('back')}
          </Button>
        ) : (
          <div />
        )}
        <Group gap="sm">
          <Text size="sm" c="dimmed" role="status">
            {t('models.ticked', { count: models.length })}
          </Text>
          {tests && (attempt.result || attempt.problem || attempt.given) && (
            <Button variant="subtle" onClick={() => onNext(false)}>
              {t('access.untested')}
            </Button>
          )}
          <Button onClick={() => onNext(tests)} disabled={attempt.pending}>
            {tests ? t('access.test') : t('next')}
          </Button>
        </Group>
      </Group>
    </Stack>
  );
}
