import { api, ifMatch, type Schemas } from '../../api/client';
import { bodyOf, changed, draftOf, NO_RULES, type RulesDraft } from '../../widgets/rules/rules';

export type Key = Schemas['Key'];

export interface KeyDraft extends RulesDraft {
  name: string;
  user: string | null;
  userName: string | null;
  team: string | null;
  teamName: string | null;
  /** As a date-time field has it, in the reader's zone: `2027-01-31T12:00`. */
  expires: string;
}

/** How a key fares, in one word. */
export function stateOf(key: Key): 'ready' | 'disabled' | 'expired' {
  if (key.expired) return 'expired';
  return key.enabled ? 'ready' : 'disabled';
}

/** Unix milliseconds as a date-time field has them, in the reader's zone. */
export function localTime(at: number | null | undefined): string {
  if (at == null) return '';
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function draft(key?: Key): KeyDraft {
  return {
    ...(key ? draftOf(key) : NO_RULES),
    name: key?.name ?? '',
    user: key?.user?.id ?? null,
    userName: key?.user?.name ?? null,
    team: key?.team?.id ?? null,
    teamName: key?.team?.name ?? null,
    expires: localTime(key?.expires_at),
  };
}

function body(draft: KeyDraft) {
  return {
    ...bodyOf(draft),
    name: draft.name.trim(),
    user: draft.user,
    // What belongs to a user belongs to the user's team.
    team: draft.user ? null : draft.team,
    expires_at: draft.expires ? new Date(draft.expires).getTime() : null,
  };
}

/** Makes a key, or changes the members of one that are not as they were. */
export async function saveKey(draft_: KeyDraft, key: Key | undefined, revision: number | null | undefined): Promise<Key> {
  const next = body(draft_);
  if (!key) {
    const given = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== null)) as typeof next;
    return (await api.POST('/admin/api/keys', { body: given })).data as Key;
  }
  return (
    await api.PATCH('/admin/api/keys/{id}', {
      params: { path: { id: key.id } },
      body: changed(body(draft(key)), next),
      headers: ifMatch(revision),
    })
  ).data as Key;
}
