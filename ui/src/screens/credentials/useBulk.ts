import { useCallback, useEffect, useRef, useState } from 'react';

import { Problem } from '../../api/problem';
import { useRefresh } from '../../api/query';
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

/** One thing done to many, one after the other: how far it is, and what became of each. */
export function useBulk() {
  const refresh = useRefresh();
  const running = useRef<AbortController | undefined>(undefined);
  const [state, setState] = useState<{ act?: Act; outcomes: Outcome[]; done: number; running: boolean }>({ outcomes: [], done: 0, running: false });
  useEffect(() => () => running.current?.abort(), []);
  // What has not been done yet is given up with the screen.
  useUnsaved(state.running);

  const run = useCallback(
    async (act: Act, targets: { id: string; label: string }[], done?: (ids: string[]) => void) => {
      const stop = new AbortController();
      running.current = stop;
      const outcomes: Outcome[] = targets.map((target) => ({ ...target, result: 'waiting' }));
      let finished = 0;
      const show = (running: boolean) => setState({ act, outcomes: [...outcomes], done: finished, running });
      show(true);
      const timer = setInterval(() => show(true), EVERY);
      try {
        await eachOf(outcomes, AT_ONCE, stop.signal, async (one) => {
          try {
            const after = await actOn(one.id, act, stop.signal);
            one.result = wentWell(act, after) ? 'done' : 'bad';
            one.message = act === 'probe' ? [after?.probe?.code, after?.probe?.message].filter(Boolean).join(': ') || undefined : undefined;
          } catch (error) {
            if (stop.signal.aborted) return;
            const problem = Problem.of(error);
            one.result = 'failed';
            one.message = problem.detail || problem.title || problem.code;
          }
          finished += 1;
        });
      } finally {
        clearInterval(timer);
        show(false);
        done?.(outcomes.filter((one) => one.result === 'done').map((one) => one.id));
        void refresh(...REFRESHES);
      }
    },
    [refresh],
  );
  return {
    ...state,
    run,
    cancel: () => running.current?.abort(),
    close: () => {
      running.current?.abort();
      setState({ outcomes: [], done: 0, running: false });
    },
  };
}
