import type { Schemas } from '../../api/client';
import { Problem } from '../../api/problem';

export type Token = Schemas['Token'];

export const STATUSES = ['active', 'cooldown', 'quota_exhausted', 'blocked', 'disabled'] as const;
export const COLOURS: Record<string, string> = { active: 'teal', cooldown: 'orange', quota_exhausted: 'grape', blocked: 'red', disabled: 'gray' };

export interface Filter {
  q: string;
  status: string;
  provider: string;
}

/** Those that are looked for: the API tells all of them at once. */
export function narrowed(tokens: readonly Token[], { q, status, provider }: Filter): Token[] {
  const words = q.trim().toLowerCase();
  return tokens.filter(
    (token) =>
      (!status || token.status === status) &&
      (!provider || token.provider === provider) &&
      (!words || token.email.toLowerCase().includes(words) || String(token.id) === words || token.credential.toLowerCase() === words),
  );
}

/** What is left of the quota, from 0 to 1. */
export function quotaLeft(token: Token): number | undefined {
  if (token.quota_is_unlimited || !token.quota_limit) return undefined;
  const left = token.quota_remaining ?? (token.quota_used != null ? token.quota_limit - token.quota_used : undefined);
  return left === undefined ? undefined : Math.min(1, Math.max(0, left / token.quota_limit));
}

/** A time of the API, in Unix milliseconds. */
export function millis(at: string | null | undefined): number | undefined {
  const time = at ? Date.parse(at) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** Parts of a list, for calls that take so many at most. */
export function parts<T>(all: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / most) }, (_, at) => all.slice(at * most, (at + 1) * most));
}

/** One call deletes so many. */
const MOST = 10_000;

/** Deletes as many as there are, and adds up what came of it. A part that fails takes back nothing of those before it: it is told beside the sum. */
export async function deleteInParts(ids: readonly number[], send: (ids: number[]) => Promise<Schemas['TokensDeleted'] | undefined>, most = MOST) {
  const sum: Schemas['TokensDeleted'] = { requested: 0, deleted: 0, missing: 0, refused: [] };
  try {
    for (const part of parts(ids, most)) {
      const told = await send(part);
      if (!told) continue;
      sum.requested += told.requested;
      sum.deleted += told.deleted;
      sum.missing += told.missing;
      sum.refused.push(...told.refused);
    }
    return { sum, failed: null };
  } catch (error) {
    if (sum.requested === 0) throw error;
    return { sum, failed: Problem.of(error) };
  }
}
