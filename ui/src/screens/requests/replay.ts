import type { Handover } from '../playground/handover';
import { isProtocol } from '../playground/protocols/neutral';
import type { Row } from './figures';

/** Why a request cannot be sent again from what is kept. */
export type NoReplay = 'notKept' | 'truncated' | 'otherRoute';

/** The request as the playground takes it, or why it cannot. */
export function replay(row: Row): { request: Handover } | { why: NoReplay } {
  const { protocol, route, payload } = row;
  // Embeddings, counted tokens, forwarded requests and the like are not asked for in the playground.
  if (!isProtocol(protocol) || route !== protocol) return { why: 'otherRoute' };
  if (!payload?.request) return { why: 'notKept' };
  // One mark stands for both bodies. What is whole can be read.
  if (payload.truncated && !isJson(payload.request)) return { why: 'truncated' };
  return { request: { protocol, body: payload.request, model: row.model, stream: row.stream, from: row.id } };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
