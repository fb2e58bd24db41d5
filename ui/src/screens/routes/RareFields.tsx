import { Fieldset, NumberInput, Select, SimpleGrid, Stack, Switch, TagsInput, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { providerOf } from '../pools/pool';
import { type Draft, TIME } from './route';

interface Props {
  draft: Draft;
  set: (next: Partial<Draft>) => void;
  errors: Record<string, string>;
  readOnly: boolean;
}

/** What is left as it is by most routes: mode, keys, repetition, second attempts, clients that leave, capture. */
export function RareFields({ draft, set, errors, readOnly }: Props) {
  const { t } = useTranslation(['routes', 'common']);
  const provider = providerOf(draft.to.trim());
  const credentials = useAll('/admin/api/credentials', 'credentials', { provider }, { enabled: provider !== '' && !readOnly, staleTime: 30_000 });
  const number = (name: 'attempts' | 'afterPercentile' | 'maxShare' | 'samples' | 'drainTokens', path: string, range: { min: number; max?: number }) => (
    <NumberInput
      label={t(`rare.${name}`)}
      value={draft[name] === '' ? '' : Number(draft[name])}
      onChange={(value) => set({ [name]: value === '' ? '' : String(value) } as Partial<Draft>)}
      {...range}
      allowDecimal={false}
      allowNegative={false}
      placeholder={t('rare.usual')}
      error={errors[path]}
    />
  );
  const time = (name: 'patience' | 'maxWait' | 'minDelay', path: string) => (
    <TextInput
      label={t(`rare.${name}`)}
      value={draft[name]}
      onChange={(event) => set({ [name]: event.currentTarget.value } as Partial<Draft>)}
      placeholder={t('rare.usual')}
      error={errors[path] ?? (draft[name].trim() !== '' && !TIME.test(draft[name].trim()) ? t('rare.noTime') : undefined)}
    />
  );
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <Select
          label={t('rare.mode')}
          description={t(draft.mode === 'direct' ? 'rare.modeDirect' : 'rare.modeHint')}
          data={[
            { value: '', label: t('modes.usual') },
            { value: 'transform', label: t('modes.transform') },
            { value: 'direct', label: t('modes.direct') },
          ]}
          value={draft.mode}
          onChange={(mode) => set({ mode: (mode ?? '') as Draft['mode'] })}
          allowDeselect={false}
          disabled={readOnly}
          error={errors.mode}
        />
        <TagsInput label={t('rare.keys')} description={t('rare.keysHint')} data={[...new Set(credentials.rows.map(({ label }) => label))]} value={draft.keys} onChange={(keys) => set({ keys })} disabled={readOnly} error={errors.keys} />
      </SimpleGrid>
      <Fieldset legend={t('rare.retry')} disabled={readOnly}>
        <SimpleGrid cols={{ base: 1, xs: 3 }}>
          {number('attempts', 'retry.attempts', { min: 1 })}
          {time('patience', 'retry.patience')}
          {time('maxWait', 'retry.max_wait')}
        </SimpleGrid>
      </Fieldset>
      <Fieldset legend={t('rare.hedge')} disabled={readOnly}>
        <Stack gap="sm">
          <Select
            label={t('rare.hedgeState')}
            description={t('rare.hedgeHint')}
            data={[
              { value: '', label: t('rare.usual') },
              { value: 'on', label: t('rare.on') },
              { value: 'off', label: t('rare.off') },
            ]}
            value={draft.hedge}
            onChange={(hedge) => set({ hedge: (hedge ?? '') as Draft['hedge'] })}
            allowDeselect={false}
            error={errors.hedge}
          />
          {draft.hedge === 'on' && (
            <SimpleGrid cols={{ base: 1, xs: 2 }}>
              {number('afterPercentile', 'hedge.after_percentile', { min: 1, max: 99 })}
              {number('maxShare', 'hedge.max_share', { min: 1, max: 100 })}
              {time('minDelay', 'hedge.min_delay')}
              {number('samples', 'hedge.samples', { min: 1 })}
            </SimpleGrid>
          )}
        </Stack>
      </Fieldset>
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <Select
          label={t('rare.disconnect')}
          data={[
            { value: '', label: t('rare.usual') },
            { value: 'cancel', label: t('rare.cancel') },
            { value: 'drain', label: t('rare.drain') },
          ]}
          value={draft.disconnect}
          onChange={(disconnect) => set({ disconnect: (disconnect ?? '') as Draft['disconnect'] })}
          allowDeselect={false}
          disabled={readOnly}
          error={errors.disconnect}
        />
        {draft.disconnect === 'drain' && number('drainTokens', 'drain_tokens', { min: 1 })}
      </SimpleGrid>
      <Switch label={t('rare.capture')} description={t('rare.captureHint')} checked={draft.capture} onChange={(event) => set({ capture: event.currentTarget.checked })} disabled={readOnly} />
    </Stack>
  );
}
