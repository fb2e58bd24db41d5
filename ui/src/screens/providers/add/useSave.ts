import { useRef, useState } from 'react';

import { api, ifMatch, type Schemas } from '../../../api/client';
import { Problem } from '../../../api/problem';
import { useRefresh } from '../../../api/query';
import { declaredModels, extended, type Extension, type Models, type Plan, type Pool } from './plan';

/** How far saving has come. What is made stays made: `left` are the pools that were to get targets and did not. */
export interface Saved {
  made?: Schemas['WholeMade'];
  left: { extension: Extension; problem: Problem }[];
  extended: string[];
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

const NOTHING: Schemas['WholeMade'] = { dry_run: false, results: [], created: 0, exists: 0 };

export function useSave(onDone: () => void) {
  const refresh = useRefresh();
  const [saved, setSaved] = useState<Saved>({ left: [], extended: [] });
  const [pending, setPending] = useState(false);
  const busy = useRef(false);

  const extendAll = async (before: Saved, extensions: Extension[]) => {
    const next: Saved = { ...before, left: [], problem: undefined };
    for (const extension of extensions) {
      try {
        await extend(extension);
        next.extended = [...next.extended, extension.pool];
      } catch (error) {
        next.left.push({ extension, problem: Problem.of(error) });
      }
    }
    setSaved(next);
    if (next.left.length === 0) onDone();
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
    save: (plan: Plan) =>
      within(async () => {
        let made: Schemas['WholeMade'];
        try {
          if (plan.models) await offer(plan.models);
          const anything = Object.values(plan.body).some((list) => list.length > 0);
          made = anything ? ((await api.POST('/admin/api/import', { body: { ...plan.body } })).data as Schemas['WholeMade']) : NOTHING;
        } catch (error) {
          setSaved({ left: [], extended: [], problem: Problem.of(error) });
          return;
        }
        await extendAll({ made, left: [], extended: [] }, plan.extensions);
      }),
    /** Tries again what could not be done. */
    goOn: () => within(() => extendAll(saved, saved.left.map((one) => one.extension))),
  };
}
