import type { Schemas } from '../../../api/client';
import type { LineKind, Parsed } from '../../credentials/import/parse';

export type Preset = Schemas['Preset'];
export type Pool = Schemas['Pool'];
export type Protocol = 'chat' | 'responses' | 'messages' | 'gemini';
export type Tier = 'tool' | 'normal' | 'advanced';

/** What is typed while a provider is added. It lives in the memory of the page and ends with the dialog. */
export interface Draft {
  /** `null` where the address is given by hand. */
  preset: Preset | null;
  name: string;
  address: string;
  protocol: Protocol;
  /** Members that the preset asks for besides, by their paths. */
  needs: Record<string, string>;
  kind: LineKind;
  secrets: string;
  /** The models that were ticked. */
  models: string[];
  /** What goes where: models by the place they are assigned to. */
  places: Place[];
}

/** A pool, or what will be one, and what is assigned to it. */
export interface Place {
  /** `tier:tool`, `pool:NAME`, `new:N`. */
  id: string;
  tier?: Tier;
  /** Of new ones as it is typed. */
  name: string;
  models: string[];
}

export const TIERS: Tier[] = ['tool', 'normal', 'advanced'];
/** What the pools of the tiers are called where there are none yet: the words that Claude Code knows them by. */
export const TIER_NAMES: Record<Tier, string> = { tool: 'haiku', normal: 'sonnet', advanced: 'opus' };

export const emptyDraft = (): Draft => ({
  preset: null,
  name: '',
  address: '',
  protocol: 'chat',
  needs: {},
  kind: 'key',
  secrets: '',
  models: [],
  places: TIERS.map((tier) => ({ id: `tier:${tier}`, tier, name: TIER_NAMES[tier], models: [] })),
});

/** What is usually meant by members that a preset asks for. */
const USUAL: Record<string, Record<string, string>> = {
  'code-assist': { 'oauth.token_url': 'https://oauth2.googleapis.com/token' },
  antigravity: { 'oauth.token_url': 'https://oauth2.googleapis.com/token' },
  warp: { 'oauth.grant': 'id_token' },
  vertex: { location: 'us-central1' },
  'vertex-anthropic': { location: 'global' },
  bedrock: { location: 'us-east-1' },
  'bedrock-anthropic': { location: 'us-east-1' },
};

/** Members that may be left empty: the service or the key file tells them. */
export const OPTIONAL = new Set(['project', 'location']);

/** Takes up a service, or none; what was pasted stays. */
export function choose(draft: Draft, preset: Preset | null, name: string): Draft {
  return {
    ...draft,
    preset,
    name,
    address: preset?.base_url ?? '',
    protocol: (preset?.protocol as Protocol | undefined) ?? 'chat',
    needs: preset ? { ...Object.fromEntries(preset.needs.map((path) => [path, ''])), ...USUAL[preset.name] } : {},
    kind: preset?.auth === 'account' || (preset?.auth === 'either' && preset.needs.some((path) => path.startsWith('oauth.'))) ? 'refresh_token' : 'key',
    models: [],
    places: draft.places.map((place) => ({ ...place, models: [] })),
  };
}

/** Whether anything was typed since the service was chosen, which made the draft what `chosen` is. */
export function isTyped(draft: Draft, chosen: Draft): boolean {
  const texts = ({ name, address, protocol, secrets, needs }: Draft) => JSON.stringify([name, address, protocol, secrets, needs]);
  return texts(draft) !== texts({ ...chosen, secrets: '' });
}

/** Which of the members that the preset asks for are asked for now: those of accounts are not where keys are given. */
export function askedFor(draft: Draft): string[] {
  return Object.keys(draft.needs).filter((path) => draft.kind !== 'key' || !path.startsWith('oauth.'));
}

/** The OAuth client that a file of accounts names, where nothing else was typed. */
export function withClient(draft: Draft, client: Parsed['client']): Draft {
  const needs = { ...draft.needs };
  for (const [member, text] of Object.entries(client ?? {})) {
    const path = `oauth.${member}`;
    if (path in needs && !needs[path]?.trim()) needs[path] = text;
  }
  return { ...draft, needs };
}

/** A name that nobody has. */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let at = 2; ; at += 1) if (!taken.has(`${wanted}-${at}`)) return `${wanted}-${at}`;
}

/** `https://api.example.com/v1` as a name: `example`. */
export function nameOfAddress(address: string): string {
  let host: string;
  try {
    host = new URL(address).hostname;
  } catch {
    return '';
  }
  if (/^[\d.]+$/.test(host) || host.includes(':')) return 'local';
  const parts = host.split('.').filter((part) => !['api', 'www', 'com', 'cn', 'net', 'org', 'io', 'ai', 'dev', 'co', 'app'].includes(part));
  return (parts.at(-1) ?? host.split('.')[0] ?? '').replace(/[^\w-]/g, '-');
}

/** The provider as the API takes it. */
export function definitionOf(draft: Draft, withModels = true): Record<string, unknown> {
  const definition: Record<string, unknown> = { name: draft.name.trim() };
  const address = draft.address.trim();
  if (draft.preset) {
    definition.preset = draft.preset.name;
    if (address && address !== draft.preset.base_url) definition.base_url = address;
  } else {
    definition.base_url = address;
    definition.protocol = draft.protocol;
  }
  for (const path of askedFor(draft)) {
    const text = draft.needs[path]?.trim();
    if (text) setPath(definition, path.split('.'), text);
  }
  if (withModels && draft.models.length > 0) definition.models = draft.models;
  return definition;
}

function setPath(into: Record<string, unknown>, [first = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    into[first] = value;
    return;
  }
  into[first] ??= {};
  setPath(into[first] as Record<string, unknown>, rest, value);
}

/** The words of the tiers, as the gateway looks for them in names. */
const WORDS: [Tier, RegExp][] = [
  ['tool', /(^|[^a-z0-9])(haiku|flash-?lite|mini|nano|lite|small|instant|[1-9]b)($|[^a-z0-9])/],
  ['advanced', /(^|[^a-z0-9])(opus|pro|large|ultra|max|reasoner|r1)($|[^a-z0-9])/],
  ['normal', /(^|[^a-z0-9])(sonnet|flash|medium|chat|turbo|plus)($|[^a-z0-9])/],
];
/** They answer no conversations. */
const OTHERS = /embed|rerank|moderation|whisper|tts|audio|image|dall-e|transcri|realtime|speech|video|veo|imagen|sora/;

/** The pool of the tier, where there is one; rather one that can be changed here. */
export function poolOf(place: Place, pools: Pool[]): Pool | undefined {
  if (!place.tier) return place.id.startsWith('pool:') ? pools.find((pool) => pool.name === place.name) : undefined;
  const those = pools.filter((pool) => pool.tier === place.tier);
  return those.find((pool) => pool.origin === 'database') ?? those[0] ?? pools.find((pool) => pool.name === place.name);
}

/** Whether nothing can be assigned to it here: what the configuration file declares is changed there. */
export function isFixed(place: Place, pools: Pool[]): boolean {
  const there = poolOf(place, pools);
  return there !== undefined && there.origin !== 'database';
}

/** Where models probably belong, by their names; those that tell nothing are left to the reader. */
export function suggested(models: string[], places: Place[], pools: Pool[]): Place[] {
  const found: Record<Tier, string[]> = { tool: [], normal: [], advanced: [] };
  for (const model of models) {
    const name = model.toLowerCase();
    if (OTHERS.test(name)) continue;
    const tier = WORDS.find(([, words]) => words.test(name))?.[0];
    if (tier) found[tier].push(model);
  }
  return places.map((place) => (place.tier && !isFixed(place, pools) ? { ...place, models: found[place.tier] } : place));
}

/** Whether a model answers conversations, as far as its name tells. */
export const isChat = (model: string): boolean => !OTHERS.test(model.toLowerCase());
