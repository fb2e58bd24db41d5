import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { useTell } from '../../widgets/act';
import { useUnsaved } from '../../widgets/unsaved';
import { type Draft, emptyDraft } from './add/draft';
import { ModelsStep } from './add/ModelsStep';
import { PlacesStep } from './add/PlacesStep';
import { changeOf, declaredModels, misnamed, remaining } from './add/plan';
import { SaveReport } from './add/SaveReport';
import { TryReport } from './add/TryReport';
import { useSave } from './add/useSave';
import { useTry } from './add/useTry';
import type { Provider } from './columns';

interface Props {
  provider: Provider;
  /** What the service says it has; `null` as long as it did not say. */
  offered: string[] | null;
  /** How asking it goes. */
  list: ReturnType<typeof useTry>;
  /** Asks it again. */
  onAsk: () => void;
  opened: boolean;
  onClose: () => void;
}

/** Which models of a provider that is there are offered to clients, and what they are used for. */
export function ChooseModels({ opened, onClose, ...rest }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const [dirty, setDirty] = useState(false);
  const { leave, settle } = useUnsaved(dirty, 'open', 'tab');
  const done = () => {
    settle();
    onClose();
  };
  return (
    <Modal opened={opened} onClose={() => void leave(onClose)} closeOnClickOutside={false} title={t('models.choose')} size={760}>
      <Steps {...rest} onDirty={setDirty} onDone={done} />
    </Modal>
  );
}

function Steps({ provider, offered, list, onAsk, onDirty, onDone }: Omit<Props, 'opened' | 'onClose'> & { onDirty: (dirty: boolean) => void; onDone: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const tell = useTell();
  const [before] = useState(() => declaredModels(provider));
  const [draft, setDraft] = useState<Draft>(() => ({ ...emptyDraft(), name: provider.name, models: before }));
  const [step, setStep] = useState<'models' | 'places'>('models');
  const [errors, setErrors] = useState<Record<string, string>>({});
  const pools = useAll('/admin/api/pools', 'pools');
  const ask = useTry();
  const finish = () => {
    tell.done(t('common:saved'));
    onDone();
  };
  const save = useSave(finish, (left) => setDraft((now) => ({ ...now, places: remaining(now.places, left, pools.rows) })));
  const change = (next: Partial<Draft>) => setDraft((now) => ({ ...now, ...next }));
  const dirty = draft.models !== before || draft.places.some((place) => place.models.length > 0);
  useEffect(() => onDirty(dirty), [dirty, onDirty]);
  const start = () => {
    const found = misnamed(draft.places, pools.rows);
    setErrors(Object.fromEntries(Object.entries(found).map(([id, what]) => [id, t(`places.${what}`)])));
    if (Object.keys(found).length === 0) void save.save(changeOf(draft, save.saved.models ?? before, pools.rows), draft.models);
  };
  if (!offered && list.pending) return <TryReport attempt={list} />;
  const unlisted = list.given ? (
    <Group justify="space-between" gap="xs">
      <Text size="sm" flex={1} miw={220}>
        {t('models.givenUp')}
      </Text>
      <Button size="xs" variant="default" onClick={onAsk}>
        {t('common:again')}
      </Button>
    </Group>
  ) : (
    <TryReport attempt={list} onRetry={onAsk} />
  );
  return (
    <Stack>
      {step === 'models' ? (
        <ModelsStep
          offered={offered}
          unlisted={offered ? undefined : unlisted}
          models={draft.models}
          onChange={(models) => change({ models })}
          attempt={ask}
          onTry={(model) => void ask.run({ provider: provider.name, model })}
          keys={0}
          tests={false}
          onNext={() => {
            ask.reset();
            setStep('places');
          }}
        />
      ) : (
        <PlacesStep
          draft={draft}
          pools={pools.rows}
          onChange={(places) => change({ places })}
          onSave={start}
          onBack={() => setStep('models')}
          saving={save.pending || pools.isPending}
          report={<SaveReport save={save} provider={provider.name} problem={pools.error} onSkip={finish} />}
          errors={errors}
        />
      )}
    </Stack>
  );
}
