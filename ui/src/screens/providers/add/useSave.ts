import { useRef, useState } from 'react';

import { api, ifMatch, type Schemas } from '../../../api/client';
import { Problem } from '../../../api/problem';
import { useRefresh } from '../../../api/query';
import type { Pool } from './draft';
import { declaredModels, extended, type Extension, type Models, type Plan } from './plan';

type Made = Schemas['WholeMade'];

/** How far saving has come. What is made stays made: `left` are the pools that were to get targets and did not. */
export interface Saved {
  made?: Made;
  /** The models that clients may ask for by now, as far as it was saved here. */
  models?: string[];
  left: { extension: Extension; problem: Problem }[];
  extended: string[];
  /** What was to be made and is somebody's already, so that nothing of it would be taken over. */
  taken: Made['results'];
  /** The one call that makes everything or nothing was refused. */
  problem?: Problem;
}

/** Gives a pool that is there some more targets, unless somebody changes it at the same time. */
async function extend({ pool, add }: Extension): Promise<void> {
  const path = { params: { path: { id: pool } } };
  const there = (await api.GET('/admin/api/pools/{id}', path)).data as Pool;
  await api.PATCH('/admin/api/pools/{id}', {
    params: path.params,
    headers: ifMatch(there.revision),
    body: { targets: extended(there, add) as Schemas['ChangePool']['targets'] },
  });
}

/** Makes a change to what is declared now, so that what others changed meanwhile stays. */
async function offer({ provider, add, remove }: Models): Promise<void> {
  if (add.length + remove.length === 0) return;
  const path = { params: { path: { id: provider } } };
  const now = (await api.GET('/admin/api/providers/{id}', path)).data as Schemas['Provider'];
  const models = [...new Set([...declaredModels(now).filter((model) => !remove.includes(model)), ...add])];
  await api.PATCH('/admin/api/providers/{id}', { params: path.params, headers: ifMatch(now.revision), body: { models } });
}

const NOTHING: Made = { dry_run: false, results: [], created: 0, exists: 0 };

/** Makes all of it, or nothing; a rehearsal only says what would become of it. */
async function make(body: Plan['body'], rehearsal: boolean): Promise<Made> {
  if (Object.values(body).every((list) => list.length === 0)) return NOTHING;
  return (await api.POST('/admin/api/import', { body: { ...body, dry_run: rehearsal } })).data as Made;
}

/** The same key or account twice is no matter. */
const takenOf = ({ results }: Made) => results.filter((one) => one.result === 'exists' && one.list !== 'credentials');

/** The pools that have its models now. */
export const poolsWith = ({ made, extended }: Saved): string[] => [
  ...new Set([...(made?.results ?? []).filter((one) => one.list === 'pools' && one.result === 'created').map((one) => one.name), ...extended]),
];

/** Saves what was planned; `onPart` is told which pools did not get their targets. */
export function useSave(onDone: () => void, onPart: (left: Extension[]) => void) {
  const refresh = useRefresh();
  const [saved, setSaved] = useState<Saved>({ left: [], extended: [], taken: [] });
  const [pending, setPending] = useState(false);
  const busy = useRef(false);

  const extendAll = async (before: Saved, extensions: Extension[]) => {
    const next: Saved = { ...before, left: [], problem: undefined };
    for (const extension of extensions) {
      try {
        await extend(extension);
        next.extended = [...new Set([...next.extended, extension.pool])];
      } catch (error) {
        next.left.push({ extension, problem: Problem.of(error) });
      }
    }
    setSaved(next);
    if (next.left.length === 0) onDone();
    else onPart(next.left.map((one) => one.extension));
  };

  const within = async (act: () => Promise<void>) => {
    if (busy.current) return;
    busy.current = true;
    setPending(true);
    try {
      await act();
    } finally {
      busy.current = false;
      setPending(false);
      void refresh('/admin/api/providers', '/admin/api/credentials', '/admin/api/pools', '/admin/api/models', '/admin/api/status');
    }
  };

  return {
    saved,
    pending,
    /** `models` are those that clients may ask for afterwards. */
    save: (plan: Plan, models: string[]) =>
      within(async () => {
        let now: Saved = { ...saved, left: [], taken: [], problem: undefined };
        try {
          // What is there already would stay as it is, and a provider that is somebody else's would get the keys.
          let taken = takenOf(await make(plan.body, true));
          if (taken.length === 0) {
            if (plan.models) {
              await offer(plan.models);
              now = { ...now, models };
            }
            const made = await make(plan.body, false);
            // Somebody may have been quicker even now.
            taken = takenOf(made);
            if (!taken.some((one) => one.list === 'providers')) {
              const before = now.made ?? NOTHING;
              now = { ...now, models, made: { ...made, results: [...before.results, ...made.results], created: before.created + made.created } };
            }
          }
          if (taken.length > 0) {
            setSaved({ ...now, taken });
            return;
          }
        } catch (error) {
          setSaved({ ...now, problem: Problem.of(error) });
          return;
        }
        await extendAll(now, plan.extensions);
      }),
    /** What stood in the way may be mended now. */
    clear: () => setSaved((now) => ({ ...now, taken: [], problem: undefined })),
    /** Tries again what could not be done. */
    goOn: () => within(() => extendAll(saved, saved.left.map((one) => one.extension))),
  };
}
