import { useRef, useState } from 'react';

import { useChange } from '../api/query';

interface Options<Draft, Out> {
  /** What the form starts with. */
  initial: Draft;
  /** The revision that is shown; nothing where something is made. */
  revision?: number | null;
  /** Sends it. With a revision the change is refused if somebody else made one meanwhile; without one it is made anyway. */
  save: (draft: Draft, revision: number | null | undefined) => Promise<Out>;
  refreshes: string[];
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
  const initial = useRef(options.initial);
  const change = useChange(({ anyway }: { anyway: boolean }) => options.save(draft, anyway ? null : options.revision), {
    refreshes: options.refreshes,
    onDone: options.onDone,
  });
  const conflict = change.error?.status === 412;
  return {
    draft,
    set: (next: Partial<Draft>) => setDraft((before) => ({ ...before, ...next })),
    touched,
    dirty: JSON.stringify(draft) !== JSON.stringify(initial.current),
    saving: change.isPending,
    /** What went wrong, but for a conflict. */
    problem: conflict ? null : change.error,
    fieldErrors: conflict ? {} : (change.error?.fieldErrors() ?? {}),
    conflict,
    submit: () => {
      setTouched(true);
      if (options.valid?.(draft) ?? true) change.mutate({ anyway: false });
    },
    replace: () => change.mutate({ anyway: true }),
    reset: () => change.reset(),
  };
}
