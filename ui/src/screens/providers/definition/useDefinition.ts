import { useRef, useState } from 'react';

import { ifMatch } from '../../../api/client';
import type { Problem } from '../../../api/problem';
import { useChange } from '../../../api/query';
import { mergePatch, readObject, split } from './patch';

type Members = Record<string, unknown>;

/** What of an object of the database a definition is changed by. */
export interface Declared {
  definition?: Members | null;
  revision?: number | null;
}

/**
 * A definition while it is changed: the usual members in fields, the others as JSON. It is compared with what was there when the change began, so that
 * only what was changed is sent, and only if nobody else changed it meanwhile.
 */
export function useDefinition<T extends Declared>(
  object: T,
  usual: readonly string[],
  options: {
    send: (patch: Members, headers: Record<string, string>) => Promise<T>;
    /** What is there now. */
    reload: () => Promise<T>;
    refreshes: string[];
    onSaved?: (object: T) => void;
  },
) {
  const [base, setBase] = useState(object);
  const start = (from: T) => {
    const { fields, rest } = split(from.definition ?? {}, usual);
    return { fields, rest: Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '' };
  };
  const [state, setState] = useState(() => start(object));
  const [conflict, setConflict] = useState(false);
  const extra = useRef<Members>({});

  const rest = readObject(state.rest);
  const patch = rest && mergePatch(base.definition ?? {}, { ...rest, ...state.fields });
  const change = useChange(
    async ({ anyway }: { anyway: boolean }) => options.send({ ...patch, ...extra.current }, anyway ? {} : ifMatch(base.revision)),
    {
      refreshes: options.refreshes,
      onDone: (now) => {
        extra.current = {};
        setConflict(false);
        setBase(now);
        setState(start(now));
        options.onSaved?.(now);
      },
    },
  );
  const look = useChange(options.reload, {
    onDone: (now) => {
      setBase(now);
      setState(start(now));
      setConflict(false);
      change.reset();
    },
  });
  const submit = (anyway: boolean) => change.mutate({ anyway }, { onError: (problem: Problem) => setConflict(problem.code === 'stale') });

  return {
    fields: state.fields,
    set: (name: string, value: unknown) =>
      setState((now) => {
        const fields = { ...now.fields };
        if (value === undefined || value === '' || value === null) delete fields[name];
        else fields[name] = value;
        return { ...now, fields };
      }),
    restText: state.rest,
    setRest: (text: string) => setState((now) => ({ ...now, rest: text })),
    restWrong: rest === undefined,
    dirty: patch === undefined || Object.keys(patch).length > 0,
    /** Saves; `more` is sent besides and kept nowhere: a new secret. */
    save: (more: Members = {}) => {
      extra.current = more;
      submit(false);
    },
    anyway: () => submit(true),
    take: () => look.mutate(),
    reset: () => {
      setState(start(base));
      change.reset();
    },
    conflict,
    error: conflict ? look.error : change.error,
    errors: change.error?.fieldErrors() ?? {},
    pending: change.isPending,
  };
}

export type Definition = ReturnType<typeof useDefinition>;
