import type { Schemas } from '../../api/client';

export type Entry = Schemas['AuditEntry'];

/** What entries are narrowed to, as the address has it. */
export type Only = Partial<Record<'actor' | 'action' | 'object_kind' | 'object', string>>;

/** What can be done and is written down, by the names of the endpoints. */
export const ACTIONS = [
  'signIn', 'signOut', 'setUp', 'changeOwnPassword',
  ...['Provider', 'Credential', 'Pool', 'Route', 'Team', 'User', 'Key'].flatMap((noun) => ['create', 'change', 'delete', 'enable', 'disable'].map((verb) => verb + noun)),
  'rotateKey', 'setPasswordOfUser', 'endSessionsOfUser', 'forgetUser', 'tryProvider', 'forgetLearnedOfProvider',
  'importCredentials', 'refreshCredential', 'probeCredential', 'askQuotaOfCredential', 'reviveCredential',
  'createToken', 'changeToken', 'deleteToken', 'importTokens', 'deleteTokens', 'refreshToken', 'refreshAllTokens', 'checkToken', 'refreshQuotaOfToken',
  'changeSettings', 'importDefinitions', 'backUp', 'testNotification',
];

/** Kinds of things, by the first part of their address. */
export const KINDS = ['providers', 'credentials', 'tokens', 'pools', 'routes', 'users', 'teams', 'keys', 'session', 'settings', 'import', 'backup', 'notifications'];

/** The millisecond that an address names, as what is asked for; null where it names none. */
export function moment(at: string): { since: number; until: number } | null {
  const since = at === '' ? NaN : Number(at);
  return Number.isSafeInteger(since) ? { since, until: since + 1 } : null;
}

/** `createProvider` as `create` and `Provider`. */
export function partsOf(action: string): { verb: string; noun: string } | null {
  const [, verb, noun] = /^([a-z]+)([A-Z]\w*)$/.exec(action) ?? [];
  return verb && noun ? { verb, noun } : null;
}

/** What an action is called, or its own name where nobody has words for it. */
export function actionWords(action: string, t: (key: string, options: Record<string, unknown>) => string): string {
  const own = t(`special.${action}`, { defaultValue: '' });
  if (own) return own;
  const parts = partsOf(action);
  const [verb, noun] = parts ? [t(`verbs.${parts.verb}`, { defaultValue: '' }), t(`nouns.${parts.noun}`, { defaultValue: '' })] : [];
  return verb && noun ? t('action', { verb, noun }) : action;
}

/** What a thing is called: by its name where the entry tells it. */
export function objectName({ object, detail }: Entry): string | null {
  const name = typeof detail === 'object' && detail !== null && 'name' in detail ? detail.name : null;
  return typeof name === 'string' && name !== '' ? name : (object ?? null);
}

/** Where a thing is shown. What was deleted is not there any more. */
export function linkTo({ object_kind, object, action }: Entry): { to: string; search: Record<string, string> } | null {
  if (!object || action.startsWith('delete')) return null;
  switch (object_kind) {
    case 'providers':
    case 'credentials':
    case 'pools':
    case 'routes':
      return { to: `/${object_kind}`, search: { open: object } };
    case 'users':
    case 'teams':
    case 'keys':
      return { to: `/${object_kind}`, search: { id: object } };
    case 'tokens':
      return { to: `/${object_kind}`, search: {} };
    default:
      return null;
  }
}

/** Whether what was tried was done. */
export function wasDone({ status }: Pick<Entry, 'status'>): boolean {
  return status < 400;
}

/** Whether there is anything in what was given. */
export function hasDetail(detail: unknown): boolean {
  return typeof detail === 'object' && detail !== null ? Object.keys(detail).length > 0 : detail != null;
}
