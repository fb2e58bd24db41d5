import type { Schemas } from '../../../api/client';
import { definitionOf, type Draft, type Place } from './draft';

export type Pool = Schemas['Pool'];

/** A pool that is there and gets more targets. */
export interface Extension {
  pool: string;
  add: string[];
}

/** What saving takes: one call that makes everything or nothing, then a change for each pool that is there already. */
export interface Plan {
  body: { providers: Record<string, unknown>[]; credentials: Record<string, unknown>[]; pools: Record<string, unknown>[] };
  extensions: Extension[];
}

/** The pool of the tier, where there is one; rather one that can be changed here. */
export function poolOf(place: Place, pools: Pool[]): Pool | undefined {
  if (!place.tier) return place.id.startsWith('pool:') ? pools.find((pool) => pool.name === place.name) : undefined;
  const those = pools.filter((pool) => pool.tier === place.tier);
  return those.find((pool) => pool.origin === 'database') ?? those[0] ?? pools.find((pool) => pool.name === place.name);
}

export function planOf(draft: Draft, entries: Record<string, unknown>[], pools: Pool[]): Plan {
  const provider = draft.name.trim();
  const plan: Plan = {
    body: { providers: [definitionOf(draft)], credentials: entries.map((entry) => ({ ...entry, provider })), pools: [] },
    extensions: [],
  };
  for (const place of draft.places) {
    // What was ticked off again after it was assigned is not meant any more.
    const add = place.models.filter((model) => draft.models.includes(model)).map((model) => `${provider}/${model}`);
    if (add.length === 0) continue;
    const there = poolOf(place, pools);
    // What the configuration file declares is changed there.
    if (there && there.origin !== 'database') continue;
    if (there) plan.extensions.push({ pool: there.name, add });
    else plan.body.pools.push({ name: place.name.trim(), ...(place.tier ? { tier: place.tier } : {}), targets: add });
  }
  return plan;
}

type DeclaredTarget = string | { target: string; weight?: number; priority?: number };

/** The targets of a pool with some more, as they were declared. */
export function extended(pool: Pool, add: string[]): DeclaredTarget[] {
  const declared = pool.definition?.targets as DeclaredTarget | DeclaredTarget[] | undefined;
  const before = declared === undefined ? [] : Array.isArray(declared) ? declared : [declared];
  const known = new Set(before.map((target) => (typeof target === 'string' ? target : target.target)));
  return [...before, ...add.filter((target) => !known.has(target))];
}

/** What a first request may name: a pool if one was given models, otherwise the first model that was ticked. */
export function firstName(draft: Draft, pools: Pool[]): string | undefined {
  const assigned = draft.places.filter((place) => place.models.some((model) => draft.models.includes(model)));
  const place = assigned.find((one) => one.tier === 'normal') ?? assigned[0];
  if (place) return poolOf(place, pools)?.name ?? place.name.trim();
  const model = draft.models[0];
  return model === undefined ? undefined : `${draft.name.trim()}/${model}`;
}
