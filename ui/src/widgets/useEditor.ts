import { useState } from 'react';

import { atLists } from '../api/problem';
import { useChange } from '../api/query';
import { useUnsaved } from './unsaved';

interface Options<Draft, Out> {
  /** What the form starts with. What it is later is of no matter: the form stays what it was opened with. */
  initial: Draft;
  /** The revision that the form starts with; nothing where something is made. */
  revision?: number | null;
  /** Sends it. With a revision the change is refused if somebody else made one meanwhile; without one it is made anyway. */
  save: (draft: Draft, revision: number | null | undefined) => Promise<Out>;
  refreshes: string[];
  /** The members of the address that say which entry is open. */
  entry: string[];
  onDone: (out: Out) => void;
  /** Mistakes that the page itself knows of. */
  valid?: (draft: Draft) => boolean;
}

/**
 * A form whose draft outlives everything: refusals, a lost connection, an ended session, and somebody else's change (`conflict`), which the reader
 * either looks at or replaces.
 */
export function useEditor<Draft extends object, Out>(options: Options<Draft, Out>) {
  const [draft, setDraft] = useState(options.initial);
  const [touched, setTouched] = useState(false);
  // Others may change it while it is open: what is compared is what the reader saw, or their change would be overwritten unseen.
  const [base, setBase] = useState({ initial: options.initial, revision: options.revision });
  const dirty = JSON.stringify(draft) !== JSON.stringify(base.initial);
  const unsaved = useUnsaved(dirty, ...options.entry);
  const change = useChange(({ anyway }: { anyway: boolean }) => options.save(draft, anyway ? null : base.revision), {
    refreshes: options.refreshes,
    onDone: (out) => {
      unsaved.settle();
      setBase({ ...base, initial: draft });
      options.onDone(out);
    },
  });
  const conflict = change.error?.status === 412;
  return {
    draft,
    set: (next: Partial<Draft>) => setDraft((before) => ({ ...before, ...next })),
    touched,
    dirty,
    /** Closes the form, after a question if something would be lost. */
    leave: unsaved.leave,
    /** Takes over the revision that a change of one's own beside the form led to, unless others changed something before it. */
    rebase: (revision: number | null | undefined) => {
      if (revision === (base.revision ?? 0) + 1) setBase({ ...base, revision });
    },
    /** What was edited is gone, and the form with it. */
    settle: unsaved.settle,
    saving: change.isPending,
    /** What went wrong, but for a conflict. */
    problem: conflict ? null : change.error,
    fieldErrors: conflict ? {} : atLists(change.error?.fieldErrors() ?? {}),
    conflict,
    submit: () => {
      setTouched(true);
      if (options.valid?.(draft) ?? true) change.mutate({ anyway: false });
    },
    replace: () => change.mutate({ anyway: true }),
    reset: () => change.reset(),
  };
}
