import { api, ifMatch } from '../../api/client';
import { changeOf, definitionOf, type Draft, draftOf, type Route } from './route';

/** What routes are seen in. */
export const REFRESHES = ['/admin/api/routes', '/admin/api/models', '/admin/api/problems'];

/** Makes or changes a route. */
export async function saveRoute(draft: Draft, route: Route | undefined, revision: number | null | undefined): Promise<Route> {
  if (!route) return (await api.POST('/admin/api/routes', { body: definitionOf(draft, false) as never })).data as Route;
  const { data } = await api.PATCH('/admin/api/routes/{id}', {
    params: { path: { id: route.id ?? '' } },
    headers: ifMatch(revision),
    body: changeOf(draft, draftOf(route)) as never,
  });
  return data as Route;
}
