import type { Schemas } from '../../api/client';

export type Setting = Schemas['Setting'];

/** Sections in the order in which one looks for them; others follow. */
const ORDER = ['accounting', 'limits', 'retry', 'hedge', 'cooldown', 'probes', 'translation', 'access', 'server', 'log', 'metrics', 'telemetry', 'store'];

/** What has a tab of its own. */
const APART = ['notifications'];

/** What is no section, but stands at the top of the configuration. */
export const TOP = 'other';

export function sectionOf({ path }: Pick<Setting, 'path'>): string {
  const [first, ...rest] = path.split('.');
  return rest.length > 0 && first ? first : TOP;
}

/** All sections with their settings, of which only those that fit. */
export function sections(settings: Setting[], fits: (setting: Setting) => boolean): { name: string; settings: Setting[] }[] {
  const found = new Map<string, Setting[]>();
  for (const setting of settings) {
    const name = sectionOf(setting);
    if (APART.includes(name) || !fits(setting)) continue;
    found.set(name, [...(found.get(name) ?? []), setting]);
  }
  const place = (name: string) => (name === TOP ? ORDER.length + 1 : ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return [...found].map(([name, settings]) => ({ name, settings })).sort((one, other) => place(one.name) - place(other.name) || one.name.localeCompare(other.name));
}

/** Whether a setting is meant by what the reader looks for: by its path, what is told of it, or its value. */
export function matches(setting: Setting, text: string, words = ''): boolean {
  const all = `${setting.path} ${setting.about} ${words} ${textOf(setting.value)}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((part) => all.includes(part));
}

/** How a setting is edited. */
export type Widget = 'flag' | 'number' | 'text' | 'word' | 'words' | 'texts' | 'json';

export function widgetOf({ kind, words, value, default: usual }: Setting): Widget {
  if (kind === 'flag' || kind === 'number') return kind;
  if (kind === 'word') return words?.length ? 'word' : 'text';
  if (kind === 'map') return 'json';
  if (kind !== 'list') return 'text';
  if (words?.length) return 'words';
  const items = [value, usual].flatMap((one) => (Array.isArray(one) ? one : []));
  return items.length > 0 && items.every((item) => typeof item === 'string') ? 'texts' : 'json';
}

/** A value as the reader edits it. */
export type Draft = string | boolean | string[];

/** What a field begins with. */
export function draftOf(setting: Setting): Draft {
  const value = setting.value ?? setting.default;
  switch (widgetOf(setting)) {
    case 'flag':
      return value === true;
    case 'words':
    case 'texts':
      return Array.isArray(value) ? value.map(String) : [];
    default:
      return textOf(value);
  }
}

/** A value as text; empty where there is none. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value, null, 2) : String(value);
}

export type Mistake = 'number' | 'large' | 'json';

/** What was typed as a value for the gateway, which checks what it means; an empty text takes the setting away. */
export function read(setting: Setting, draft: Draft): { value: unknown } | { mistake: Mistake } {
  if (typeof draft !== 'string') return { value: draft };
  const text = draft.trim();
  if (text === '') return { value: null };
  switch (widgetOf(setting)) {
    case 'number': {
      const number = Number(text);
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return { mistake: 'number' };
      return Number.isSafeInteger(Math.trunc(number)) ? { value: number } : { mistake: 'large' };
    }
    case 'json':
      try {
        return { value: JSON.parse(text) };
      } catch {
        return { mistake: 'json' };
      }
    default:
      return { value: text };
  }
}

/** What the reader changed, by path. Null takes away what the database says. */
export type Drafts = ReadonlyMap<string, Draft | null>;

/** The drafts after one more; what is as it was before is no change. */
export function changed(drafts: Drafts, setting: Setting, draft: Draft | null): Drafts {
  const next = new Map(drafts);
  const same = draft === null ? setting.owner !== 'database' : JSON.stringify(draft) === JSON.stringify(draftOf(setting));
  if (same) next.delete(setting.path);
  else next.set(setting.path, draft);
  return next;
}

/** All changes as one merge patch, and what of them cannot be sent. */
export function patchOf(settings: Setting[], drafts: Drafts): { patch: Record<string, unknown>; mistakes: Record<string, Mistake> } {
  const patch: Record<string, unknown> = {};
  const mistakes: Record<string, Mistake> = {};
  for (const [path, draft] of drafts) {
    const setting = settings.find((one) => one.path === path);
    if (!setting) continue;
    const found = draft === null ? { value: null } : read(setting, draft);
    if ('mistake' in found) mistakes[path] = found.mistake;
    else put(patch, path.split('.'), found.value);
  }
  return { patch, mistakes };
}

function put(into: Record<string, unknown>, [first, ...rest]: string[], value: unknown): void {
  if (first === undefined) return;
  if (rest.length === 0) into[first] = value;
  else put((into[first] ??= {}) as Record<string, unknown>, rest, value);
}

/** Refusals by the setting they are of; a mistake inside a list is one of the list. */
export function errorsBy(settings: Setting[], errors: Record<string, string>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [place, words] of Object.entries(errors)) {
    const plain = place.replaceAll(/\[(\d+)\]/g, '.$1');
    const setting = settings.find(({ path }) => plain === path || plain.startsWith(`${path}.`));
    const path = setting?.path ?? plain;
    const rest = plain.slice(path.length + 1);
    found[path] = [found[path], rest ? `${rest}: ${words}` : words].filter(Boolean).join(' ');
  }
  return found;
}

/** Text with `code` in it, piece by piece; every second piece is code. */
export function pieces(text: string): string[] {
  const all = text.split('`');
  // A mark without its second is a mark.
  return all.length % 2 === 1 ? all : [...all.slice(0, -2), `${all.at(-2)}\`${all.at(-1)}`];
}
