/** Ways to look into what others wrote: never throws, whatever is there. */

export type Dict = Record<string, unknown>;

export function dict(value: unknown): Dict {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Dict) : {};
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A text as JSON; undefined where it is none. */
export function parse(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Without members that are undefined. */
export function given(members: Dict): Dict {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** Arguments that are told as JSON or as a value. */
export function argsText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value);
}
