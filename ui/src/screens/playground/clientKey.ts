import { useQuery } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

import { api, authHeaders, type Schemas } from '../../api/client';
import { Problem } from '../../api/problem';
import { beforeSignOut, personalTo, setupQuery, useMay, useSession, useStatus } from '../../app/session';

/** A client key that this tab asks models with. It is in memory alone, and in no storage, address or query. */
interface Held {
  key: string;
  /** Of one that was made for this tab: it is deleted with it. */
  made?: { id: string; name: string; until: number | null };
}

let held: Held | null = null;
/** Another number for every other key. */
let turn = 0;
const listeners = new Set<() => void>();

function hold(next: Held | null) {
  held = next;
  turn += 1;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const LIFETIME = 60 * 60 * 1000;

async function make(user: string | undefined): Promise<void> {
  const name = `playground-${crypto.getRandomValues(new Uint32Array(1))[0]?.toString(36) ?? ''}`;
  const made = (await api.POST('/admin/api/keys', { body: { name, expires_at: Date.now() + LIFETIME, ...(user ? { user } : {}) } })).data as Schemas['Key'];
  if (!made.key) throw new Problem({ code: 'unreadable' });
  await forget();
  hold({ key: made.key, made: { id: made.id, name: made.name, until: made.expires_at ?? null } });
}

/** Deletes a key that was made for this tab. It expires by itself where that does not succeed. */
async function forget(leaving = false): Promise<void> {
  const before = held;
  hold(null);
  if (!before?.made) return;
  await fetch(`/admin/api/keys/${encodeURIComponent(before.made.id)}`, { method: 'DELETE', keepalive: leaving, headers: authHeaders('DELETE') }).catch(() => undefined);
}

beforeSignOut(() => forget());
personalTo(() => hold(null));
window.addEventListener('pagehide', () => void forget(true));

export type KeyState = 'unknown' | 'open' | 'needed' | 'held';

/** What the playground asks models with. */
export function useClientKey() {
  const session = useSession();
  const may = useMay();
  const admin = may('admin');
  const status = useStatus(admin);
  const now = useSyncExternalStore(subscribe, () => held);
  // Others may not look at the gateway's state; everybody is told how one gets in.
  const offer = useQuery({ ...setupQuery, enabled: !admin && now === null, staleTime: 30_000 });
  const open = admin ? status.data?.open : offer.data?.open;
  const state: KeyState = now ? 'held' : open === undefined ? 'unknown' : open ? 'open' : 'needed';
  const asked = admin ? status : offer;
  return {
    state,
    /** Why it could not be found out whether a key is needed. */
    problem: state === 'unknown' ? asked.error : null,
    retry: () => void asked.refetch(),
    held: now,
    key: now?.key ?? null,
    turn,
    make: () => make(session.kind === 'user' ? (session.id ?? undefined) : undefined),
    paste: (key: string) => void forget().then(() => hold({ key: key.trim() })),
    forget: () => forget(),
  };
}
