import type { Schemas } from '../../api/client';

export type Pool = Schemas['Pool'];
export const TIERS = ['tool', 'normal', 'advanced'] as const;
export type Tier = (typeof TIERS)[number];
export const STRATEGIES = ['round_robin', 'least_busy', 'latency', 'ordered'] as const;

/** What the pool of a tier is usually called. */
export const TIER_NAMES: Record<Tier, string> = { tool: 'haiku', normal: 'sonnet', advanced: 'opus' };

/** Words in vendors' names of models that reach the pool of a tier (docs/CONFIGURATION.md). */
export const TIER_WORDS: Record<Tier, string[]> = {
  tool: ['haiku', 'flash-lite', 'mini', 'nano', 'lite', 'small', 'instant'],
  normal: ['sonnet', 'flash', 'medium'],
  advanced: ['opus', 'pro', 'large', 'ultra'],
};

/** A line of the list: the head of those with one priority, or a target. */
export type Row = { id: string; kind: 'group'; priority: number } | { id: string; kind: 'target'; target: string; weight: number };

export interface Draft {
  name: string;
  tier: Tier | '';
  strategy: string;
  words: string[];
  fallbacks: string[];
  /** Begins with the head of a group, and ends with that of an empty one: what is put there is asked when all others fail. */
  rows: Row[];
}

let made = 0;
const fresh = () => `t${(made += 1)}`;

export function emptyDraft(tier: Tier | '', taken: string[]): Draft {
  const name = tier === '' || taken.includes(TIER_NAMES[tier]) ? '' : TIER_NAMES[tier];
  return { name, tier, strategy: 'round_robin', words: [], fallbacks: [], rows: tidy([]) };
}

export function draftOf(pool: Pool): Draft {
  const targets = [...targetsOf(pool)].sort((a, b) => a.priority - b.priority);
  const rows: Row[] = [];
  for (const { target, weight, priority } of targets) {
    if (headOf(rows)?.priority !== priority) rows.push({ id: fresh(), kind: 'group', priority });
    rows.push({ id: fresh(), kind: 'target', target, weight });
  }
  const from = pool.definition ?? {};
  return {
    name: pool.name,
    tier: ((pool.tier ?? from.tier ?? '') as Tier | ''),
    strategy: pool.strategy ?? String(from.strategy ?? 'round_robin'),
    words: pool.words ?? asTexts(from.words),
    fallbacks: pool.fallbacks ?? asTexts(from.fallbacks),
    rows: tidy(rows),
  };
}

/** The targets of a pool, also of one that is not in force and of which only the definition is there. */
export function targetsOf(pool: Pool): Schemas['Target'][] {
  if (pool.targets) return pool.targets;
  const given = pool.definition?.targets;
  const list = given === undefined || given === null ? [] : Array.isArray(given) ? given : [given];
  return list.map((entry: unknown) => {
    const { target = '', weight = 1, priority = 1 } = (typeof entry === 'string' ? { target: entry } : (entry ?? {})) as Partial<Schemas['Target']>;
    return { target, weight, priority };
  });
}

function asTexts(value: unknown): string[] {
  return typeof value === 'string' ? [value] : Array.isArray(value) ? value.map(String) : [];
}

function headOf(rows: Row[]): (Row & { kind: 'group' }) | undefined {
  return rows.findLast((row) => row.kind === 'group') as (Row & { kind: 'group' }) | undefined;
}

/** Puts heads in order: one in front, none without targets but for the last, which stands ready for more. */
export function tidy(rows: Row[]): Row[] {
  const first = rows.findIndex((row) => row.kind === 'group');
  // What was put above the first head belongs to it.
  const ordered = first > 0 ? [rows[first] as Row, ...rows.slice(0, first), ...rows.slice(first + 1)] : rows;
  const kept = ordered.filter((row, at) => row.kind === 'target' || ordered[at + 1]?.kind === 'target');
  if (kept[0]?.kind !== 'group') kept.unshift({ id: fresh(), kind: 'group', priority: 1 });
  if (kept.length > 1) {
    const last = headOf(kept)?.priority ?? 1;
    const spare = ordered.at(-1);
    // The same head stays, so that what is being dragged does not jump.
    kept.push(spare?.kind === 'group' ? { ...spare, priority: last + 1 } : { id: fresh(), kind: 'group', priority: last + 1 });
  }
  return kept;
}

export interface Placed {
  row: Row & { kind: 'target' };
  priority: number;
  /** Its place among those of its priority, from 1, and how many they are. */
  place: number;
  of: number;
}

/** Where a target stands. */
export function placeOf(rows: Row[], id: string): Placed | null {
  const at = rows.findIndex((row) => row.id === id);
  const row = rows[at];
  if (row?.kind !== 'target') return null;
  let head = at;
  while (head >= 0 && rows[head]?.kind === 'target') head -= 1;
  let end = at;
  while (end < rows.length && rows[end]?.kind === 'target') end += 1;
  const group = rows[head];
  return { row, priority: group?.kind === 'group' ? group.priority : 1, place: at - head, of: end - head - 1 };
}

/** The targets as they are declared: as short as they can be written. */
export function declaredTargets(rows: Row[]): (string | { target: string; weight?: number; priority?: number })[] {
  let priority = 1;
  const out: (string | { target: string; weight?: number; priority?: number })[] = [];
  for (const row of rows) {
    if (row.kind === 'group') priority = row.priority;
    else if (row.weight === 1 && priority === 1) out.push(row.target);
    else out.push({ target: row.target, ...(row.weight === 1 ? {} : { weight: row.weight }), ...(priority === 1 ? {} : { priority }) });
  }
  return out;
}

/** The members of a definition; what is not said is left out of a new one and taken out of one that is changed. */
export function definitionOf(draft: Draft, change: boolean): Record<string, unknown> {
  const all: Record<string, unknown> = {
    tier: draft.tier || null,
    strategy: draft.strategy === 'round_robin' ? null : draft.strategy,
    words: draft.words.length > 0 ? draft.words : null,
    fallbacks: draft.fallbacks.length > 0 ? draft.fallbacks : null,
    targets: declaredTargets(draft.rows),
  };
  if (change) return all;
  return { name: draft.name.trim(), ...Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)) };
}

/** Whether two drafts would be saved as the same. */
export function same(one: Draft, other: Draft): boolean {
  return JSON.stringify(definitionOf(one, false)) === JSON.stringify(definitionOf(other, false));
}

export function providerOf(target: string): string {
  const slash = target.indexOf('/');
  return slash < 0 ? target : target.slice(0, slash);
}

/**
 * The share of each target among those of its priority, as turns are taken: over the providers first, each by the greatest weight among its targets,
 * then over the models of one. Nothing where a target is another model or pool, which stands for several.
 */
export function sharesOf(targets: { target: string; weight: number }[]): number[] | null {
  if (targets.some(({ target }) => !target.includes('/'))) return null;
  const providers = new Map<string, { most: number; sum: number }>();
  for (const { target, weight } of targets) {
    const known = providers.get(providerOf(target)) ?? { most: 0, sum: 0 };
    providers.set(providerOf(target), { most: Math.max(known.most, weight), sum: known.sum + weight });
  }
  const all = [...providers.values()].reduce((sum, { most }) => sum + most, 0);
  return targets.map(({ target, weight }) => {
    const { most, sum } = providers.get(providerOf(target)) as { most: number; sum: number };
    return (most / all) * (weight / sum);
  });
}

/** Shares by the id of the row. */
export function sharesByRow(draft: Draft): Map<string, number> {
  const shares = new Map<string, number>();
  if (draft.strategy !== 'round_robin') return shares;
  for (const group of groupsOf(draft.rows)) {
    const found = sharesOf(group.targets);
    group.targets.forEach((row, at) => found && shares.set(row.id, found[at] ?? 0));
  }
  return shares;
}

export interface Group {
  id: string;
  priority: number;
  targets: (Row & { kind: 'target' })[];
}

export function groupsOf(rows: Row[]): Group[] {
  const groups: Group[] = [];
  for (const row of rows) {
    if (row.kind === 'group') groups.push({ id: row.id, priority: row.priority, targets: [] });
    else groups.at(-1)?.targets.push(row);
  }
  return groups.filter((group) => group.targets.length > 0);
}

/** Adds targets to the first group; those that are there already stay where they are. */
export function withTargets(rows: Row[], targets: string[]): Row[] {
  const known = new Set(rows.flatMap((row) => (row.kind === 'target' ? [row.target] : [])));
  const more: Row[] = targets.filter((target) => !known.has(target)).map((target) => ({ id: fresh(), kind: 'target', target, weight: 1 }));
  const second = rows.findIndex((row, at) => at > 0 && row.kind === 'group');
  const end = second < 0 ? rows.length : second;
  return tidy([...rows.slice(0, end), ...more, ...rows.slice(end)]);
}

/** Moves a row to where another one stands. */
export function moved(rows: Row[], id: string, over: string): Row[] {
  const from = rows.findIndex((row) => row.id === id);
  const to = rows.findIndex((row) => row.id === over);
  const row = rows[from];
  if (!row || to < 0 || from === to) return rows;
  const rest = rows.filter((other) => other.id !== id);
  rest.splice(to, 0, row);
  return tidy(rest);
}
