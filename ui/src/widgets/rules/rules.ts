import type { Schemas } from '../../api/client';

export type Limit = Schemas['Limit'];
type Protocol = Schemas['Protocol'];

/** A limit while it is edited: numbers are texts until they are sent. */
export interface LimitDraft {
  what: Limit['what'];
  window: NonNullable<Limit['window']>;
  amount: string;
  models: string;
}

/** What keys, users and teams have in common while they are edited. */
export interface RulesDraft {
  models: string[];
  pools: string[];
  protocols: string[];
  networks: string[];
  limits: LimitDraft[];
  capture: boolean;
}

export const NO_RULES: RulesDraft = { models: [], pools: [], protocols: [], networks: [], limits: [], capture: false };

/** The members of rules as the API has them. */
export interface RulesBody {
  models: string[];
  pools: string[];
  protocols: Protocol[];
  networks: string[];
  limits: Limit[];
  capture: boolean;
}

export function draftOf(rules: {
  models: string[];
  pools: string[];
  protocols: string[];
  networks: string[];
  limits: Limit[];
  capture: boolean;
}): RulesDraft {
  return {
    models: rules.models,
    pools: rules.pools,
    protocols: rules.protocols,
    networks: rules.networks,
    capture: rules.capture,
    limits: rules.limits.map((limit) => ({
      what: limit.what,
      window: limit.window ?? 'total',
      amount: String(limit.amount),
      models: limit.models ?? '',
    })),
  };
}

/** What is sent. Amounts of money stay texts: they are decimal, and a number would round them. */
export function bodyOf(draft: RulesDraft): RulesBody {
  return {
    models: draft.models,
    pools: draft.pools,
    protocols: draft.protocols as Protocol[],
    networks: draft.networks,
    capture: draft.capture,
    limits: draft.limits.map((limit) => ({
      what: limit.what,
      ...(limit.what === 'concurrency' ? {} : { window: limit.window }),
      amount: limit.what === 'money' ? limit.amount.trim() : Number(limit.amount.trim()),
      ...(limit.models.trim() ? { models: limit.models.trim() } : {}),
    })) as Limit[],
  };
}

/** What is wrong with an amount: `missing`, `number`, `whole` or `large`; nothing if it is right. */
export function amountProblem(what: Limit['what'], text: string): 'missing' | 'number' | 'whole' | 'large' | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return 'missing';
  if (!/^\d+(\.\d+)?$/.test(trimmed)) return 'number';
  if (what !== 'money' && trimmed.includes('.')) return 'whole';
  if (Number(trimmed) > Number.MAX_SAFE_INTEGER) return 'large';
  return undefined;
}

/** Members of `after` that are not as in `before`: what a merge patch has to carry. */
export function changed<T extends object>(before: T, after: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name as keyof T])),
  ) as Partial<T>;
}
