import { cellsOf, type Head, headOf, rowOf } from './table';

/** What lines are that hold nothing but a secret. */
export type LineKind = 'key' | 'refresh_token';

/** One credential as the API takes it, or why it cannot be one. */
export interface Item {
  /** The line that it came from, counted from 1; of a JSON list its place there. */
  at: number;
  entry?: Record<string, unknown>;
  wrong?: 'json' | 'shape' | 'empty';
  /** What stands there, where it cannot be read. */
  raw?: string;
}

/** What was pasted or dropped, as far as it was understood. */
export interface Parsed {
  items: Item[];
  form: 'lines' | 'json';
  /** The OAuth client that a file of accounts names, for providers that are made with it. */
  client?: { client_id?: string; client_secret?: string; token_url?: string };
}

/** Members of credentials; what else an export holds has no meaning here. */
const MEMBERS = [
  'provider', 'name', 'key', 'refresh_token', 'key_file', 'project', 'access_key_id', 'session_token', 'weight', 'priority', 'requests', 'pace', 'enabled',
];
/** What others call them. */
const OTHER_NAMES: [string, string][] = [
  ['email', 'name'], ['label', 'name'], ['client_email', 'name'], ['project_id', 'project'], ['warp_refresh_token', 'refresh_token'], ['refreshToken', 'refresh_token'],
  ['projectId', 'project'],
];
/** Members that hold what must not be seen. */
const SECRETS = ['key', 'refresh_token', 'key_file'];
/** What a column of a table is called, without regard to case, and what it holds. */
const COLUMNS = new Map([...MEMBERS.map((name): [string, string] => [name, name]), ...OTHER_NAMES, ['api_key', 'key'] as [string, string]].map(([theirs, ours]) => [theirs.toLowerCase(), ours]));
/** Lists of credentials in files of other programs. */
const LISTS = ['credentials', 'accounts', 'tokens', 'keys', 'projects', 'data'];
/** Lines that are read before the page may draw again. */
const AT_ONCE = 4000;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text alone, without the marks of the list that it was copied out of. */
export function ofLine(line: string, kind: LineKind): Record<string, unknown> {
  const secret = line
    .trim()
    .replace(/,$/, '')
    .replace(/^(["'])(.*)\1$/, '$2');
  return { [kind]: secret };
}

/** An object of an export. */
export function ofObject(from: Record<string, unknown>): Record<string, unknown> | undefined {
  // Google's key files are credentials as a whole.
  if (from.type === 'service_account' || from.type === 'authorized_user') {
    const name = from.client_email ?? from.account;
    return { ...(typeof name === 'string' && name ? { name } : {}), key_file: JSON.stringify(from) };
  }
  const entry: Record<string, unknown> = {};
  for (const member of MEMBERS) if (from[member] != null && from[member] !== '') entry[member] = from[member];
  for (const [theirs, ours] of OTHER_NAMES) if (from[theirs] != null && from[theirs] !== '') entry[ours] ??= from[theirs];
  if (entry.refresh_token === undefined && entry.key === undefined && typeof from.api_key === 'string') entry.key = from.api_key;
  const secret = entry.refresh_token ?? entry.key ?? entry.key_file;
  return typeof secret === 'string' && secret.trim() ? entry : undefined;
}

function ofValue(value: unknown, at: number, kind: LineKind): Item {
  if (typeof value === 'string') return value.trim() ? { at, entry: ofLine(value, kind) } : { at, wrong: 'empty' };
  const entry = isObject(value) ? ofObject(value) : undefined;
  return entry ? { at, entry } : { at, wrong: 'shape', raw: JSON.stringify(value) };
}

/** A JSON value: a list, an object with lists, or one account. */
function flatten(value: unknown, at: number, kind: LineKind, into: Parsed): void {
  if (Array.isArray(value)) {
    for (const one of value) flatten(one, at, kind, into);
    return;
  }
  const lists = isObject(value) ? LISTS.filter((name) => Array.isArray(value[name])) : [];
  if (isObject(value)) into.client ??= pickClient(isObject(value.oauth_config) ? value.oauth_config : value);
  if (!isObject(value) || lists.length === 0) {
    into.items.push(ofValue(value, at, kind));
    return;
  }
  const first = into.items.length;
  for (const name of lists) flatten(value[name], at, name === 'keys' ? 'key' : kind, into);
  const { provider } = value;
  if (typeof provider !== 'string') return;
  for (const item of into.items.slice(first)) if (item.entry) item.entry = { provider, ...item.entry };
}

function pickClient(from: Record<string, unknown>): Parsed['client'] {
  const found: Record<string, string> = {};
  for (const member of ['client_id', 'client_secret', 'token_url']) if (typeof from[member] === 'string') found[member] = from[member];
  return found.client_id ? found : undefined;
}

const pause = () => new Promise<void>((go) => setTimeout(go));

/** Reads what was pasted: JSON as a whole, or a credential in each line. Much of it is read in parts, so that the page stays usable. */
export async function parse(text: string, kind: LineKind, signal?: AbortSignal, onProgress?: (lines: number) => void): Promise<Parsed> {
  const start = text.trimStart();
  if (start.startsWith('[') || start.startsWith('{')) {
    try {
      const parsed: Parsed = { items: [], form: 'json' };
      flatten(JSON.parse(text), 0, kind, parsed);
      for (const [at, item] of parsed.items.entries()) item.at = at + 1;
      return parsed;
    } catch {
      // Perhaps a value in each line.
    }
  }
  const parsed: Parsed = { items: [], form: 'lines' };
  let from = 0;
  let head: Head | null = null;
  for (let at = 1; from <= text.length; at += 1) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? text.length : end).trim();
    if (line.startsWith('{') || line.startsWith('[')) ofJsonLine(line, at, kind, parsed);
    else if (line) {
      const next = headOf(line, COLUMNS, SECRETS, head);
      head = next ?? head;
      if (!next) parsed.items.push(head ? ofRow(line, head, at, kind) : ofValue(line, at, kind));
    }
    if (end < 0) break;
    from = end + 1;
    if (at % AT_ONCE === 0) {
      onProgress?.(at);
      await pause();
      signal?.throwIfAborted();
    }
  }
  return parsed;
}

/** A line under the head of a table; a text alone is a secret there as well. */
function ofRow(line: string, head: Head, at: number, kind: LineKind): Item {
  const row = rowOf(line, head);
  if (row) return ofValue(row, at, kind);
  return cellsOf(line, head.separator).length === 1 ? ofValue(line, at, kind) : { at, wrong: 'shape', raw: line };
}

function ofJsonLine(line: string, at: number, kind: LineKind, into: Parsed): void {
  try {
    flatten(JSON.parse(line.replace(/,$/, '')), at, kind, into);
  } catch {
    into.items.push({ at, wrong: 'json', raw: line });
  }
}

/** The texts of files as one, which `parse` reads again: a JSON file becomes a line. */
export function joined(texts: string[]): string {
  return texts
    .map((text) => {
      const start = text.trimStart();
      if (!start.startsWith('{') && !start.startsWith('[')) return text.trimEnd();
      try {
        return JSON.stringify(JSON.parse(text));
      } catch {
        return text.trimEnd();
      }
    })
    .filter(Boolean)
    .join('\n');
}

/** What may be shown of what was pasted: the ends of long ones. */
export function masked(entry: Record<string, unknown> | undefined): string {
  const secret = secretOf(entry);
  if (entry?.key_file !== undefined) return String(entry.name ?? '…');
  return secret.length >= 16 ? `${secret.slice(0, 4)}…${secret.slice(-4)}` : '…';
}

/** The secret of an entry, to be copied out again by whoever pasted it. */
export function secretOf(entry: Record<string, unknown> | undefined): string {
  return String(entry?.key ?? entry?.refresh_token ?? entry?.key_file ?? '');
}
