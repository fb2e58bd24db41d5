import { api, type Schemas } from '../../api/client';

export type Act = 'enable' | 'disable' | 'refresh' | 'probe' | 'revive' | 'quota' | 'delete';

/** What can be done to many at once, in the order of the buttons. */
export const BULK: Act[] = ['enable', 'disable', 'refresh', 'probe', 'revive', 'quota', 'delete'];
/** Below these is asked anew after something was done. */
export const REFRESHES = ['/admin/api/credentials', '/admin/api/providers', '/admin/api/tokens', '/admin/api/models'];

/** Does something about a credential; tells how it is afterwards. */
export async function actOn(id: string, act: Act, signal?: AbortSignal): Promise<Schemas['Credential'] | undefined> {
  const options = { params: { path: { id } }, signal };
  switch (act) {
    case 'delete':
      await api.DELETE('/admin/api/credentials/{id}', options);
      return undefined;
    case 'enable':
      return (await api.POST('/admin/api/credentials/{id}/enable', options)).data;
    case 'disable':
      return (await api.POST('/admin/api/credentials/{id}/disable', options)).data;
    case 'refresh':
      return (await api.POST('/admin/api/credentials/{id}/refresh', options)).data;
    case 'probe':
      return (await api.POST('/admin/api/credentials/{id}/probe', options)).data;
    case 'revive':
      return (await api.POST('/admin/api/credentials/{id}/revive', options)).data;
    case 'quota':
      return (await api.POST('/admin/api/credentials/{id}/quota', options)).data;
  }
}

/** Whether it came out well: a probe may be answered and say that the key is refused. */
export function wentWell(act: Act, after: Schemas['Credential'] | undefined): boolean {
  return act !== 'probe' || after?.probe?.outcome === 'accepted';
}
