import type { Schemas } from '../../../api/client';
import { definitionOf, type Draft, isFixed, type Place, type Pool, poolOf } from './draft';

/** A pool that is there and gets more targets. */
export interface Extension {
  pool: string;
  add: string[];
}

/** Models that clients may ask a provider that is there for, and may not any more. */
export interface Models {
  provider: string;
  add: string[];
  remove: string[];
}

/** What saving takes: a change of the provider where it is there, one call that makes everything or nothing, and a change for each pool that is there. */
export interface Plan {
  models?: Models;
  body: { providers: Record<string, unknown>[]; credentials: Record<string, unknown>[]; pools: Record<string, unknown>[] };
  extensions: Extension[];
}

/** What it takes to make the provider with everything that belongs to it. */
export function planOf(draft: Draft, entries: Record<string, unknown>[], pools: Pool[]): Plan {
  const provider = draft.name.trim();
  return assigned(draft, pools, { providers: [definitionOf(draft)], credentials: entries.map((entry) => ({ ...entry, provider })), pools: [] });
}

/** The same of a provider that is there, and of which clients could ask for `before`. */
export function changeOf(draft: Draft, before: string[], pools: Pool[]): Plan {
  const add = draft.models.filter((model) => !before.includes(model));
  const remove = before.filter((model) => !draft.models.includes(model));
  return { ...assigned(draft, pools, { providers: [], credentials: [], pools: [] }), models: { provider: draft.name, add, remove } };
}

function assigned(draft: Draft, pools: Pool[], body: Plan['body']): Plan {
  const provider = draft.name.trim();
  const plan: Plan = { body, extensions: [] };
  for (const place of draft.places) {
    // What was ticked off again after it was assigned is not meant any more.
    const add = place.models.filter((model) => draft.models.includes(model)).map((model) => `${provider}/${model}`);
    if (add.length === 0) continue;
    if (isFixed(place, pools)) continue;
    const there = poolOf(place, pools);
    if (there) plan.extensions.push({ pool: there.name, add });
    else plan.body.pools.push({ name: place.name.trim(), ...(place.tier ? { tier: place.tier } : {}), targets: add });
  }
  return plan;
}

/** The models that a provider declares, each once. */
export function declaredModels(provider: Pick<Schemas['Provider'], 'definition'>): string[] {
  const declared = provider.definition?.models;
  return Array.isArray(declared) ? [...new Set(declared.map(String))] : typeof declared === 'string' ? [declared] : [];
}

/** New pools without a name, or with one that is taken, by the ids of their places. */
export function misnamed(places: Place[], pools: Pool[]): Record<string, 'nameMissing' | 'nameTaken'> {
  const found: Record<string, 'nameMissing' | 'nameTaken'> = {};
  for (const { id, name, models } of places) {
    if (!id.startsWith('new:')) continue;
    if (pools.some((pool) => pool.name === name.trim())) found[id] = 'nameTaken';
    else if (models.length > 0 && !name.trim()) found[id] = 'nameMissing';
  }
  return found;
}

type DeclaredTarget = string | { target: string; weight?: number; priority?: number };

/** The targets of a pool with some more, as they were declared. */
export function extended(pool: Pool, add: string[]): DeclaredTarget[] {
  const declared = pool.definition?.targets as DeclaredTarget | DeclaredTarget[] | undefined;
  const before = declared === undefined ? [] : Array.isArray(declared) ? declared : [declared];
  const known = new Set(before.map((target) => (typeof target === 'string' ? target : target.target)));
  return [...before, ...add.filter((target) => !known.has(target))];
}

/** What is still to be assigned where all is done but these; new pools are made with the provider, or not at all. */
export function remaining(places: Place[], left: Extension[], pools: Pool[]): Place[] {
  return places
    .filter((place) => !place.id.startsWith('new:'))
    .map((place) => (left.some(({ pool }) => pool === poolOf(place, pools)?.name) ? place : { ...place, models: [] }));
}

/** What a first request may name: one of the pools that have its models now, otherwise the first model that was ticked. */
export function firstName(draft: Draft, served: string[], pools: Pool[]): string | undefined {
  const normal = draft.places.find((place) => place.tier === 'normal');
  const everyday = normal && (poolOf(normal, pools)?.name ?? normal.name);
  const pool = served.find((name) => name === everyday) ?? served[0];
  if (pool !== undefined) return pool;
  const model = draft.models[0];
  return model === undefined ? undefined : `${draft.name.trim()}/${model}`;
}
