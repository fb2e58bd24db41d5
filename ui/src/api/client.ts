import createClient, { type Middleware } from 'openapi-fetch';
import createQueryClient from 'openapi-react-query';

import { authStore } from './auth';
import { Problem } from './problem';
import type { components, paths } from './schema';

/** The shapes of the admin API, by their names in the OpenAPI document. */
export type Schemas = components['schemas'];

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Headers that show who asks. */
export function authHeaders(method: string): Record<string, string> {
  const { adminKey, csrf } = authStore.get();
  if (adminKey) return { authorization: `Bearer ${adminKey}` };
  if (csrf && !SAFE.has(method)) return { 'x-polyport-csrf': csrf };
  return {};
}

const middleware: Middleware = {
  onRequest({ request, schemaPath }) {
    // Who signs in shows nothing of before, and what is shown on purpose stays.
    if (request.headers.has('authorization') || (request.method === 'POST' && schemaPath === '/admin/api/session')) return request;
    for (const [name, value] of Object.entries(authHeaders(request.method))) request.headers.set(name, value);
    return request;
  },
  async onResponse({ response, schemaPath }) {
    if (response.ok) return undefined;
    const problem = await Problem.from(response);
    // Signing in answers 401 as well, to those who have no session that could have ended.
    if (problem.signedOut && schemaPath !== '/admin/api/session') authStore.expire();
    throw problem;
  },
  onError({ error }) {
    return error instanceof Error && error.name === 'AbortError' ? error : Problem.offline(error);
  },
};

/** The admin API. Every method throws a {@link Problem} where the answer is not what was asked for. */
export const api = createClient<paths>({ baseUrl: '/', fetch: (request) => globalThis.fetch(request) });
api.use(middleware);

/** The same as TanStack Query hooks. Their keys begin with `[method, path]`. */
export const $api = createQueryClient(api);

/** `If-Match` for a change of what was shown with this revision. */
export function ifMatch(revision: number | null | undefined): Record<string, string> {
  return revision == null ? {} : { 'If-Match': `"${revision}"` };
}
