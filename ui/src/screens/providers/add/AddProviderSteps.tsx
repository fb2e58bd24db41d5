import { Stack } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../../api/list';
import { useUnsaved } from '../../../widgets/unsaved';
import { AccessStep } from './AccessStep';
import { DoneStep } from './DoneStep';
import { choose, definitionOf, type Draft, emptyDraft, freeName, isChat, isTyped, suggested } from './draft';
import { ModelsStep } from './ModelsStep';
import { PlacesStep } from './PlacesStep';
import { changeOf, firstName, misnamed, planOf, remaining } from './plan';
import { SaveReport } from './SaveReport';
import { ServiceStep } from './ServiceStep';
import classes from './Steps.module.css';
import { poolsWith, useSave } from './useSave';
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
  // What it was like when the service was chosen.
  const [chosen, setChosen] = useState<Draft>(draft);
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
  const save = useSave(finish, (left) => setDraft((now) => ({ ...now, places: remaining(now.places, left, pools.rows) })));
  const { made } = save.saved;
  const change = (next: Partial<Draft>) => setDraft((now) => ({ ...now, ...next }));
  const go = (next: number) => {
    ask.reset();
    save.clear();
    setStep(next);
  };

  const dirty = step < 4 && (step > 1 || isTyped(draft, chosen));
  useUnsaved(dirty, 'add');
  useEffect(() => {
    top.current?.scrollIntoView({ block: 'nearest' });
  }, [step]);

  /** Asks a model, or for the list of models where there is none; once it is saved, with what was saved. */
  const askModel = async (model?: string) => {
    const told = await ask.run({ ...(made ? { provider: draft.name.trim() } : { provider: definitionOf(draft, false), credential: entries[0] }), model });
    const answered = told?.outcome === 'answered';
    if (answered && model !== undefined) setProven(true);
    return answered;
  };
  const first = draft.models.find(isChat);
  const toPlaces = async (withTest: boolean) => {
    if (withTest && first !== undefined && !(await askModel(first))) return;
    const untouched = draft.places.every((place) => place.models.length === 0);
    if (untouched && !made) change({ places: suggested(draft.models, draft.places, pools.rows) });
    go(3);
  };

  const start = () => {
    const found = misnamed(draft.places, pools.rows);
    setErrors(Object.fromEntries(Object.entries(found).map(([id, what]) => [id, t(`places.${what}`)])));
    if (Object.keys(found).length > 0) return;
    // What is made already is changed.
    void save.save(made ? changeOf(draft, save.saved.models ?? [], pools.rows) : planOf(draft, entries, pools.rows), draft.models);
  };

  const model = firstName(draft, poolsWith(save.saved), pools.rows);
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
            // Whoever comes back to the same service finds what was typed.
            if (preset?.name !== draft.preset?.name) {
              const next = choose(draft, preset, preset ? freeName(preset.name, taken) : '');
              setDraft(next);
              setChosen(next);
            }
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
          onNext={(entries, listed) => {
            setEntries(entries);
            setProven(false);
            // Some services list a model twice.
            const models = listed && [...new Set(listed)];
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
          onBack={made ? undefined : () => go(1)}
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
          report={<SaveReport save={save} provider={draft.name} problem={pools.error} onSkip={finish} onRename={() => go(1)} />}
          errors={errors}
        />
      )}
      {step === 4 && (
        <DoneStep
          saved={save.saved}
          provider={draft.name.trim()}
          model={model}
          proven={proven}
          attempt={ask}
          onTry={() => void askModel(first)}
          onDone={() => onDone(model)}
          onMore={onMore}
        />
      )}
    </Stack>
  );
}
