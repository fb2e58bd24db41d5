import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';

/** Something that was typed and is kept nowhere else. It is lost with the screen, and with the entry that these members of the address name. */
interface Draft {
  dirty: boolean;
  entry: readonly string[];
}

interface Place {
  pathname: string;
  search: object;
}

const drafts = new Set<Draft>();
const listeners = new Set<() => void>();
let answer: ((leave: boolean) => void) | null = null;

function tell() {
  for (const listener of listeners) listener();
}

function listen(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether there is anything to lose. */
export const anyUnsaved = (): boolean => [...drafts].some(({ dirty }) => dirty);

/** Whether going from one place to another loses anything: other members of the address, such as filters, do not. */
export function loses(from: Place, to: Place): boolean {
  const [before, after] = [from.search as Record<string, unknown>, to.search as Record<string, unknown>];
  return [...drafts].some(({ dirty, entry }) => dirty && (from.pathname !== to.pathname || entry.some((name) => before[name] !== after[name])));
}

/** Asks whether to throw away what was typed; a question that is still open is taken back. */
export function askToLeave(): Promise<boolean> {
  answer?.(false);
  return new Promise((resolve) => {
    answer = (leave) => {
      answer = null;
      tell();
      resolve(leave);
    };
    tell();
  });
}

/** For what leaves everything: whether nothing is lost by it, or the reader wants it so. */
export const mayLeave = async (): Promise<boolean> => !anyUnsaved() || askToLeave();

/** What the page has to ask; see `app/Leave`. */
export function useLeaving() {
  const unsaved = useSyncExternalStore(listen, anyUnsaved);
  const question = useSyncExternalStore(listen, () => answer);
  return { unsaved, question };
}

/**
 * Keeps what was typed from being lost: whoever goes to another screen, closes the window, or opens another entry is asked first. `entry` names the
 * members of the address that say which entry is open (`'id'`); nothing where the whole screen is the form.
 */
export function useUnsaved(dirty: boolean, ...entry: string[]) {
  const [draft] = useState<Draft>({ dirty: false, entry });
  useEffect(() => {
    drafts.add(draft);
    return () => {
      drafts.delete(draft);
      tell();
    };
  }, [draft]);
  useEffect(() => {
    draft.dirty = dirty;
    tell();
  }, [draft, dirty]);
  return useMemo(
    () => ({
      /** Closes the form, after a question if something would be lost. */
      leave: async (close: () => void) => {
        if (draft.dirty && !(await askToLeave())) return;
        draft.dirty = false;
        close();
      },
      /** It is saved, or thrown away: what follows asks no more. */
      settle: () => {
        draft.dirty = false;
        tell();
      },
    }),
    [draft],
  );
}
