import { useSyncExternalStore } from 'react';

/** What requests carry to show who asks. An admin key lives in memory alone: it is gone with the page. */
interface Auth {
  csrf?: string;
  adminKey?: string;
  /** The gateway does not know us any more, though it did: the page asks to sign in again and keeps what was typed. */
  expired: boolean;
}

let auth: Auth = { expired: false };
const listeners = new Set<() => void>();

function set(next: Partial<Auth>) {
  auth = { ...auth, ...next };
  for (const listener of listeners) listener();
}

export const authStore = {
  get: () => auth,
  /** Takes over what `GET session` told, and with what key, if with one. Only once it has told it: until then whoever was in is, or has to come back. */
  signedIn: (csrf: string | null | undefined, adminKey?: string) => set({ csrf: csrf ?? undefined, adminKey, expired: false }),
  signedOut: () => set({ csrf: undefined, adminKey: undefined, expired: false }),
  expire: () => {
    if (!auth.expired && (auth.csrf || auth.adminKey)) set({ expired: true });
  },
};

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the session ended while the page was open. */
export function useExpired(): boolean {
  return useSyncExternalStore(subscribe, () => auth.expired);
}
