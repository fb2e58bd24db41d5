import { dict, text } from './json';
import type { ApiError } from './neutral';

/**
 * An error, in any of the protocols' shapes: `{error: {message, type, code, status}}`, `{type: "error", error: {…}}`, `{code, message}`, a text, or
 * a list of one of these.
 */
export function readError(body: unknown): ApiError | null {
  if (Array.isArray(body)) return body.length > 0 ? readError(body[0]) : null;
  if (typeof body === 'string') return body.trim() === '' ? null : { message: body };
  const outer = dict(body);
  const inner = outer.error ?? (text(outer.type) === 'error' ? outer : undefined) ?? (text(outer.detail) ? { message: outer.detail, code: outer.code } : undefined);
  if (typeof inner === 'string') return { message: inner };
  const error = dict(inner);
  const message = text(error.message) || text(error.detail);
  if (message === '' && Object.keys(error).length === 0) return null;
  const word = (value: unknown) => (typeof value === 'number' ? String(value) : text(value)) || undefined;
  const type = word(error.status) ?? (text(error.type) === 'error' ? undefined : word(error.type));
  return { message: message || JSON.stringify(error), type, code: word(error.code) };
}
