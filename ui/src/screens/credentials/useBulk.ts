import { useCallback, useEffect, useRef, useState } from 'react';

import { Problem } from '../../api/problem';
import { useRefresh } from '../../api/query';
import { useProblemWords } from '../../widgets/problemWords';
import { useUnsaved } from '../../widgets/unsaved';
import { type Act, actOn, REFRESHES, wentWell } from './acts';
import { eachOf } from './import/batches';

/** So many are under way at once. */
const AT_ONCE = 6;
/** What is shown is brought up to date this often, however fast answers come. */
const EVERY = 150;

export interface Outcome {
  id: string;
  label: string;
  result: 'waiting' | 'done' | 'bad' | 'failed';
  message?: string;
}

interface State {
  act?: Act;
  outcomes: Outcome[];
  done: number;
  running: boolean;
  stopping?: boolean;
  /** Why no more of them were begun. */
  halted?: Problem | null;
  onDone?: (ids: string[]) => void;
}

const NOTHING: State = { outcomes: [], done: 0, running: false };

function leave(running: { stop: AbortController; leave: AbortController } | undefined) {
  running?.stop.abort();
  running?.leave.abort();
}

/** One thing done to many, one after the other: how far it is, and what became of each. */
export function useBulk() {
  const refresh = useRefresh();
  const words = useProblemWords();
  const running = useRef<{ stop: AbortController; leave: AbortController } | undefined>(undefined);
  const [state, setState] = useState<State>(NOTHING);
  useEffect(() => () => leave(running.current), []);
  // What has not been done yet is given up with the screen.
  useUnsaved(state.running);

  const run = useCallback(
    async (act: Act, targets: Outcome[], onDone?: (ids: string[]) => void) => {
      const [stop, left] = [new AbortController(), new AbortController()];
      running.current = { stop, leave: left };
      const outcomes = targets.map((one): Outcome => (one.result === 'failed' ? { ...one, result: 'waiting', message: undefined } : { ...one }));
      const open = outcomes.filter((one) => one.result === 'waiting');
      let [finished, halted] = [outcomes.length - open.length, null as Problem | null];
      const show = (running: boolean) => setState({ act, outcomes: [...outcomes], done: finished, running, stopping: running && stop.signal.aborted, halted, onDone });
      show(true);
      const timer = setInterval(() => show(true), EVERY);
      try {
        await eachOf(open, AT_ONCE, stop.signal, async (one) => {
          try {
            const after = await actOn(one.id, act, left.signal);
            one.result = wentWell(act, after) ? 'done' : 'bad';
            one.message = act === 'probe' ? [after?.probe?.code, after?.probe?.message].filter(Boolean).join(': ') || undefined : undefined;
          } catch (error) {
            if (left.signal.aborted) return;
            const problem = Problem.of(error);
            // What goes wrong with this one goes wrong with every one: they are left as they are.
            if (problem.status === 0 || problem.signedOut) {
              halted = problem;
              stop.abort();
              return;
            }
            one.result = 'failed';
            const { title, remedy } = words(problem);
            one.message = [title, problem.detail || remedy].filter(Boolean).join(': ');
          }
          finished += 1;
        });
      } finally {
        clearInterval(timer);
        show(false);
        onDone?.(outcomes.filter((one) => one.result === 'done').map((one) => one.id));
        void refresh(...REFRESHES);
      }
    },
    [refresh, words],
  );
  return {
    ...state,
    run: (act: Act, targets: { id: string; label: string }[], onDone?: (ids: string[]) => void) => run(act, targets.map((target) => ({ ...target, result: 'waiting' })), onDone),
    /** Does it to those it was not done to, whether it failed or was never begun. */
    goOn: () => state.act && void run(state.act, state.outcomes, state.onDone),
    /** Begins no more of them; what is under way is waited for, so that it is known how it went, but for those who do not want to wait. */
    stop: () => {
      if (running.current?.stop.signal.aborted) running.current.leave.abort();
      running.current?.stop.abort();
      setState((state) => ({ ...state, stopping: state.running }));
    },
    close: () => {
      leave(running.current);
      setState(NOTHING);
    },
  };
}
