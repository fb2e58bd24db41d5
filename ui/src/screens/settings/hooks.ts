/** An address that is told what happens, as the settings have it: address and secret are masked. */
export interface Hook {
  name: string;
  url: string;
  secret?: string | null;
  events?: string[];
  enabled?: boolean;
}

export const EVENTS = [
  'credential.invalid', 'credential.exhausted', 'provider.down', 'provider.up', 'quota.near', 'quota.reached', 'configuration.refused',
] as const;

export function hooksOf(value: unknown): Hook[] {
  return Array.isArray(value) ? value.filter((one): one is Hook => typeof one === 'object' && one !== null && typeof (one as Hook).name === 'string') : [];
}

/** The list with one hook added or replaced; what others had is sent as it was shown, which keeps it. */
export function withHook(hooks: Hook[], hook: Hook, before?: string): Hook[] {
  const at = hooks.findIndex(({ name }) => name === before);
  return at < 0 ? [...hooks, hook] : hooks.map((one, place) => (place === at ? hook : one));
}

export interface HookDraft {
  name: string;
  url: string;
  /** Empty keeps what is there. */
  secret: string;
  noSecret: boolean;
  events: string[];
  enabled: boolean;
}

export function draftOfHook(hook: Hook | undefined): HookDraft {
  return { name: hook?.name ?? '', url: hook?.url ?? '', secret: '', noSecret: false, events: hook?.events ?? [], enabled: hook?.enabled ?? true };
}

/** What the settings are to say. A new name is a new hook to the gateway: what was masked is not known of it. */
export function hookOf(draft: HookDraft, before: Hook | undefined): Hook {
  const secret = draft.secret.trim() || (draft.noSecret ? undefined : (before?.secret ?? undefined));
  return {
    name: draft.name.trim(),
    url: draft.url.trim(),
    ...(secret && { secret }),
    ...(draft.events.length > 0 && { events: draft.events }),
    ...(!draft.enabled && { enabled: false }),
  };
}

export type HookMistake = 'name' | 'taken' | 'url' | 'masked';

/** What can be told before the gateway is asked. */
export function mistakesOf(draft: HookDraft, hooks: Hook[], before: Hook | undefined): Partial<Record<'name' | 'url' | 'secret', HookMistake>> {
  const name = draft.name.trim();
  const renamed = before !== undefined && name !== before.name;
  return {
    ...(name === '' ? { name: 'name' as const } : hooks.some((one) => one.name === name && one.name !== before?.name) ? { name: 'taken' as const } : {}),
    ...(!/^https?:\/\/\S+$/i.test(draft.url.trim()) ? { url: 'url' as const } : renamed && draft.url === before.url ? { url: 'masked' as const } : {}),
    ...(renamed && before.secret && draft.secret === '' && !draft.noSecret ? { secret: 'masked' as const } : {}),
  };
}

/** A secret as Standard Webhooks writes them. */
export function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}
