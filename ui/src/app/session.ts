import { useQuery, useSuspenseQuery } from '@tanstack/react-query';

import { authStore } from '../api/auth';
import { api, type Schemas } from '../api/client';
import { Problem } from '../api/problem';
import { queryClient, SESSION } from '../api/query';

export type Session = Schemas['Session'];
export type Role = 'admin' | 'manager' | 'member';

const RANK: Record<Role, number> = { member: 1, manager: 2, admin: 3 };

/** Who looks at the page. */
export const sessionQuery = {
  queryKey: SESSION,
  queryFn: async (): Promise<Session> => {
    try {
      // Whoever is nobody is told so without an error.
      const { csrf, adminKey } = authStore.get();
      if (!csrf && !adminKey && !(await queryClient.fetchQuery({ ...setupQuery, staleTime: 0 })).signed_in) return { kind: 'nobody' };
      const session = (await api.GET('/admin/api/session')).data as Session;
      authStore.signedIn(session.csrf, adminKey);
      return session;
    } catch (error) {
      const { csrf, adminKey } = authStore.get();
      if (!Problem.of(error).signedOut) throw error;
      if (!csrf && !adminKey) return { kind: 'nobody' };
      // It was there and has ended: what is shown stays, and the page asks to sign in again.
      authStore.expire();
      throw error;
    }
  },
  staleTime: 60_000,
  // In another window one may have signed in anew, and what shows that a change is meant is another.
  refetchOnWindowFocus: 'always' as const,
};

/** Whether something that is for roles from one to another is for this one. */
export function isFor({ least, most = 'admin' }: { least: Role; most?: Role }, role: Role): boolean {
  return RANK[role] >= RANK[least] && RANK[role] <= RANK[most];
}

/** Where the browser goes to sign in with an identity provider. */
export const OIDC_START = '/admin/api/oidc/start';

const WAY = 'polyport.way';

/** Keeps where one wanted to go while another site asks who one is. */
export function keepWay(to: string): void {
  sessionStorage.setItem(WAY, to);
}

/** Where one wanted to go, once. */
export function takeWay(): string | null {
  const to = sessionStorage.getItem(WAY);
  sessionStorage.removeItem(WAY);
  return to;
}

/** How one may get in. */
export const setupQuery = {
  queryKey: ['get', '/admin/api/setup'],
  queryFn: async () => (await api.GET('/admin/api/setup')).data as Schemas['Setup'],
  staleTime: 60_000,
};

/** The session of who is signed in; only below the shell, which is not shown to others. */
export function useSession(): Session & { role: Role } {
  const { data } = useSuspenseQuery(sessionQuery);
  // Holders of admin keys have no role of their own: they may do everything. Who has just signed out is on the way to another page.
  const role = (data.role ?? (data.kind === 'nobody' ? 'member' : 'admin')) as Role;
  return { ...data, role };
}

/** Whether who is signed in may do what takes this role. */
export function useMay(): (role: Role) => boolean {
  const { role } = useSession();
  return (least) => RANK[role] >= RANK[least];
}

/** The gateway's own state, looked at now and then. Only admins may. */
export function useStatus(enabled = true) {
  return useQuery({
    queryKey: ['get', '/admin/api/status'],
    queryFn: async () => (await api.GET('/admin/api/status')).data as Schemas['Status'],
    refetchInterval: 15_000,
    enabled,
  });
}

const leaving = new Set<() => Promise<void>>();
const personal = new Set<() => void>();

/** What is to be done while one is still signed in: to give back what was made for this session. */
export function beforeSignOut(act: () => Promise<void>): void {
  leaving.add(act);
}

/** How to throw away what is kept in memory of whoever is signed in: the next one is to find nothing of it. */
export function personalTo(forget: () => void): void {
  personal.add(forget);
}

/** Somebody else is in: nothing of what the other one saw or typed may stay. Their screen begins anew; see the shell. */
export function clearForNext(): void {
  for (const act of personal) act();
  queryClient.removeQueries({ predicate: ({ queryKey }) => queryKey[1] !== sessionQuery.queryKey[1] });
  queryClient.getMutationCache().clear();
}

/** Nothing that was read or typed stays in memory. */
export function forget(): void {
  for (const act of personal) act();
  authStore.signedOut();
  queryClient.clear();
}

/** Ends the session. As long as the gateway has not heard of it one is not out, and is told so. */
export async function signOut(): Promise<void> {
  await Promise.allSettled([...leaving].map((act) => act()));
  try {
    if (!authStore.get().adminKey) await api.DELETE('/admin/api/session');
  } catch (error) {
    const problem = Problem.of(error);
    if (!problem.signedOut) throw new Problem({ code: 'still_signed_in', status: problem.status, detail: problem.detail, instance: problem.instance });
  }
  forget();
}
