type Members = Record<string, unknown>;

const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether two JSON values say the same; the order of members says nothing. */
export function same(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) return one.length === other.length && one.every((value, at) => same(value, other[at]));
  if (isObject(one) && isObject(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].every((name) => name in one && name in other && same(one[name], other[name]));
  }
  return one === other;
}

/**
 * What leads from one definition to the other, as a JSON merge patch (RFC 7396).
 *
 * Members that stay are not in it: of a masked secret that is left as it is the gateway keeps the real one.
 */
export function mergePatch(before: Members, after: Members): Members {
  const patch: Members = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const was = before[name];
    const is = after[name];
    if (is === undefined || is === null) {
      if (was !== undefined && was !== null) patch[name] = null;
    } else if (isObject(was) && isObject(is)) {
      const inner = mergePatch(was, is);
      if (Object.keys(inner).length > 0) patch[name] = inner;
    } else if (!same(was, is)) patch[name] = is;
  }
  return patch;
}

/** The members that a form has fields for, and the others. */
export function split(definition: Members, usual: readonly string[]): { fields: Members; rest: Members } {
  const fields: Members = {};
  const rest: Members = {};
  for (const [name, value] of Object.entries(definition)) (usual.includes(name) ? fields : rest)[name] = value;
  return { fields, rest };
}

/** A text as an object, or nothing where it is none. */
export function readObject(text: string): Members | undefined {
  if (!text.trim()) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
