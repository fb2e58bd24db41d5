import { Stack } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../../api/list';
import { useUnsaved } from '../../../widgets/unsaved';
import { AccessStep } from './AccessStep';
import { DoneStep } from './DoneStep';
import { choose, definitionOf, type Draft, emptyDraft, freeName, isChat, suggested } from './draft';
import { ModelsStep } from './ModelsStep';
import { PlacesStep } from './PlacesStep';
import { firstName, misnamed, planOf } from './plan';
import { SaveReport } from './SaveReport';
import { ServiceStep } from './ServiceStep';
import classes from './Steps.module.css';
import { useSave } from './useSave';
import { useTry } from './useTry';

const STEPS = ['service', 'access', 'models', 'places'] as const;

interface Props {
  /** The reader is through; `model` is what a first request may name. */
  onDone: (model: string | undefined) => void;
}

/** Adds a provider: service, access, models, pools. Nothing is saved before the last step. */
export function AddProviderSteps(props: Props) {
  // Another one begins with nothing of the one before.
  const [round, setRound] = useState(0);
  return <Round key={round} {...props} onMore={() => setRound(round + 1)} />;
}

function Round({ onDone, onMore }: Props & { onMore: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const [step, setStep] = useState(0);
  const [entries, setEntries] = useState<Record<string, unknown>[]>([]);
  const [offered, setOffered] = useState<string[] | null>(null);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const access = useTry();
  const ask = useTry();
  const top = useRef<HTMLOListElement>(null);
  const known = useAll('/admin/api/providers', 'providers');
  const pools = useAll('/admin/api/pools', 'pools');
  // Whether a model has answered with what was typed. Lists of models alone prove little: many services show them to anybody.
  const [proven, setProven] = useState(false);
  const finish = () => {
    setStep(4);
    // What was pasted is not needed any more.
    setEntries([]);
    setDraft((now) => ({ ...now, secrets: '', needs: {} }));
  };
  const save = useSave(finish);
  const change = (next: Partial<Draft>) => setDraft((now) => ({ ...now, ...next }));
  const go = (next: number) => {
    ask.reset();
    setStep(next);
  };

  const typed = draft.secrets !== '' || draft.address.trim() !== (draft.preset?.base_url ?? '');
  const dirty = step < 4 && (step > 1 || typed);
  useUnsaved(dirty, 'add');
  useEffect(() => {
    top.current?.scrollIntoView({ block: 'nearest' });
  }, [step]);

  const askModel = async (model: string) => {
    const told = await ask.run({ provider: definitionOf(draft, false), credential: entries[0], model });
    if (told?.outcome === 'answered') setProven(true);
    return told?.outcome === 'answered';
  };
  const first = draft.models.find(isChat);
  const toPlaces = async (withTest: boolean) => {
    if (withTest && first !== undefined && !(await askModel(first))) return;
    const untouched = draft.places.every((place) => place.models.length === 0);
    if (untouched) change({ places: suggested(draft.models, draft.places) });
    go(3);
  };

  const start = () => {
    const found = misnamed(draft.places, pools.rows);
    setErrors(Object.fromEntries(Object.entries(found).map(([id, what]) => [id, t(`places.${what}`)])));
    if (Object.keys(found).length === 0) void save.save(planOf(draft, entries, pools.rows));
  };

  const model = firstName(draft, pools.rows);
  return (
    <Stack gap="md">
      <ol className={classes.steps} ref={top} aria-label={t('steps.label')}>
        {STEPS.map((name, at) => (
          <li key={name} className={classes.step} data-done={at < step || undefined} aria-current={at === step ? 'step' : undefined}>
            {t(`steps.${name}`)}
          </li>
        ))}
      </ol>
      {step === 0 && (
        <ServiceStep
          onChoose={(preset) => {
            const taken = new Set(known.rows.map((one) => one.name));
            setDraft((now) => (preset && preset.name === now.preset?.name ? now : choose(now, preset, preset ? freeName(preset.name, taken) : '')));
            access.reset();
            setOffered(null);
            go(1);
          }}
        />
      )}
      {step === 1 && (
        <AccessStep
          draft={draft}
          onChange={change}
          attempt={access}
          onBack={() => go(0)}
          onNext={(entries, models) => {
            setEntries(entries);
            setProven(false);
            setOffered(models);
            // Few models are all meant, more often than not.
            if (models && draft.models.length === 0 && models.length <= 5) change({ models });
            go(2);
          }}
        />
      )}
      {step === 2 && (
        <ModelsStep
          offered={offered}
          models={draft.models}
          onChange={(models) => change({ models })}
          attempt={ask}
          onTry={(model) => void askModel(model)}
          keys={entries.length}
          tests={first !== undefined && !proven}
          onBack={() => go(1)}
          onNext={(withTest) => void toPlaces(withTest)}
        />
      )}
      {step === 3 && (
        <PlacesStep
          draft={draft}
          pools={pools.rows}
          onChange={(places) => change({ places })}
          onSave={start}
          onBack={() => go(2)}
          saving={save.pending || pools.isPending}
          report={<SaveReport save={save} provider={draft.name} problem={pools.error} onSkip={finish} />}
          errors={errors}
        />
      )}
      {step === 4 && (
        <DoneStep
          saved={save.saved}
          provider={draft.name.trim()}
          model={model}
          onDone={() => onDone(model)}
          onMore={onMore}
        />
      )}
    </Stack>
  );
}
