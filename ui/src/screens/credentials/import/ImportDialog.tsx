import { Button, Checkbox, Group, Modal, SegmentedControl, Select, Stack, Text } from '@mantine/core';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../../api/list';
import { useUnsaved } from '../../../widgets/unsaved';
import { ImportResults } from './ImportResults';
import { kindOf } from './kind';
import type { LineKind } from './parse';
import { SecretInput } from './SecretInput';
import { type Send, sendCredentials, useImport } from './useImport';

interface Props {
  opened: boolean;
  onClose: () => void;
  /** Whose they are, where that is not to be chosen. */
  provider?: string;
  /** Refresh tokens alone, sent this way. */
  tokens?: { send: Send; most: number; hydrate: boolean; onHydrate: (on: boolean) => void };
}

/** Many keys or accounts at once: pasted or dropped, sent in parts, with what became of each. */
export function ImportDialog({ opened, onClose, ...rest }: Props) {
  const { t } = useTranslation(['credentials', 'common']);
  const [busy, setBusy] = useState(false);
  // What was pasted or is on its way is not lost by a stray key.
  const { leave } = useUnsaved(busy, 'add', 'open');
  const close = () => void leave(onClose);
  return (
    <Modal
      opened={opened}
      onClose={close}
      closeOnClickOutside={false}
      title={rest.tokens ? t('import.tokensTitle') : t('import.title')}
      size={820}
    >
      <Import {...rest} onBusy={setBusy} onClose={close} />
    </Modal>
  );
}

/** Everything that was typed lives here, and goes with it. */
function Import({ provider: given, tokens, onClose, onBusy }: Omit<Props, 'opened'> & { onBusy: (busy: boolean) => void }) {
  const { t } = useTranslation(['credentials', 'common']);
  const [provider, setProvider] = useState(given ?? '');
  // Where nothing was chosen, what the provider usually takes.
  const [chosen, setChosen] = useState<LineKind>();
  const [text, setText] = useState('');
  const options = useMemo(
    () => ({
      most: tokens?.most,
      words: { json: t('import.wrong.json'), shape: t('import.wrong.shape'), empty: t('import.wrong.empty') },
      refreshes: ['/admin/api/credentials', '/admin/api/providers', '/admin/api/tokens'],
    }),
    [t, tokens?.most],
  );
  const work = useImport(tokens?.send ?? sendCredentials, options);
  const providers = useAll('/admin/api/providers', 'providers');
  const presets = useAll('/admin/api/presets', 'presets', {}, { staleTime: Infinity });
  const names = providers.rows.filter((one) => one.origin !== 'built_in').map((one) => one.name);
  const known = providers.rows.find((one) => one.name === provider);
  const kind: LineKind = tokens ? 'refresh_token' : (chosen ?? (known && kindOf(known, presets.rows)) ?? 'key');
  const busy = text !== '' && work.phase !== 'done';
  useEffect(() => onBusy(busy), [busy, onBusy]);

  if (work.phase !== 'input') {
    return (
      <ImportResults
        work={work}
        provider={provider}
        onMore={() => {
          work.clear();
          setText('');
        }}
        onBack={() => work.clear()}
        onClose={onClose}
      />
    );
  }
  const choice: ReactNode = given === undefined && (
    <Select
      label={t('import.provider')}
      description={tokens ? t('import.providerTokens') : undefined}
      placeholder={tokens ? t('import.providerOnly') : t('import.providerPick')}
      required={!tokens}
      searchable
      clearable={tokens !== undefined}
      data={names}
      value={provider || null}
      onChange={(name) => setProvider(name ?? '')}
      nothingFoundMessage={t('import.noProvider')}
    />
  );
  return (
    <form
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        void work.start(text, kind, provider);
      }}
    >
      <Stack gap="sm">
        {choice}
        {!tokens && (
          <div>
            <Text size="sm" fw={500} mb={4}>
              {t('import.kind')}
            </Text>
            <SegmentedControl
              value={kind}
              onChange={(kind) => setChosen(kind as LineKind)}
              aria-label={t('import.kind')}
              data={[
                { value: 'key', label: t('import.keys') },
                { value: 'refresh_token', label: t('import.accounts') },
              ]}
            />
          </div>
        )}
        <SecretInput label={t('import.text')} description={t('import.textHint')} rows={9} value={text} onChange={setText} autoFocus={given !== undefined} />
        {tokens && (
          <Checkbox
            label={t('import.hydrate')}
            description={t('import.hydrateHint')}
            checked={tokens.hydrate}
            onChange={(event) => tokens.onHydrate(event.currentTarget.checked)}
          />
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t('common:cancel')}
          </Button>
          <Button type="submit" disabled={!text.trim() || (!tokens && !provider)}>
            {t('import.start')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
