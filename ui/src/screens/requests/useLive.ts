import { useEffect, useReducer, useRef, useState } from 'react';

import { type Query, withQuery } from '../../api/list';
import type { Problem } from '../../api/problem';
import { follow, type LiveState } from '../../api/stream';
import type { Row } from './figures';
import { EMPTY, readEvent, step } from './live';

/** Requests come one by one, perhaps hundreds in a second: they are drawn together, so often. */
const EVERY = 250;

/** So long rows are marked as new. */
const FRESH = 1600;

/** So long after something went by the list is read again: the log has a request a moment after it has ended. Several gaps are one. */
const CATCH_UP = 1500;

/**
 * Follows requests as they end. `catchUp` reads the list again: where some may have gone by unseen (before the connection stood, while it was
 * lost, when they came too fast), and when following ends. What came stays as long as the same `scope` is looked at, followed or not.
 */
export function useLive(on: boolean, query: Query, scope: string, wants: (row: Row) => boolean, catchUp: () => void) {
  const [tail, act] = useReducer(step, EMPTY);
  const [state, setState] = useState<LiveState>('connecting');
  const [problem, setProblem] = useState<Problem>();
  const shownAt = useRef(new WeakMap<Row, number>());
  const latest = useRef({ wants, catchUp });
  latest.current = { wants, catchUp };
  const path = withQuery('/admin/api/requests/live', query);
  const followed = useRef('');
  useEffect(() => {
    let planned: ReturnType<typeof setTimeout> | undefined;
    const onGap = () => {
      planned ??= setTimeout(() => {
        planned = undefined;
        latest.current.catchUp();
      }, CATCH_UP);
    };
    if (!on && followed.current === scope) {
      act({ kind: 'resume' });
      onGap();
      return () => clearTimeout(planned);
    }
    act({ kind: 'start' });
    followed.current = on ? scope : '';
    if (!on) return undefined;
    const ending = new AbortController();
    let come: Row[] = [];
    let before: LiveState = 'connecting';
    const timer = setInterval(() => {
      if (come.length > 0) act({ kind: 'came', rows: come });
      for (const row of come) shownAt.current.set(row, Date.now());
      come = [];
    }, EVERY);
    void follow(
      path,
      ending.signal,
      ({ event, data }) => {
        const found = readEvent(event, data);
        if (found?.kind === 'came') come.push(...found.rows.filter((row) => latest.current.wants(row)));
        else if (found) {
          act(found);
          onGap();
        }
      },
      (now, problem) => {
        if (now === 'live') onGap();
        // Coming back after ten minutes, as the gateway has it, is nothing to tell.
        if (!(now === 'connecting' && before === 'live')) setState(now);
        setProblem(problem);
        before = now;
      },
    );
    return () => {
      ending.abort();
      clearTimeout(planned);
      clearInterval(timer);
    };
  }, [on, path, scope]);
  return {
    tail,
    state,
    problem,
    isFresh: (row: Row) => Date.now() - (shownAt.current.get(row) ?? 0) < FRESH,
    pause: () => act({ kind: 'pause' }),
    resume: () => act({ kind: 'resume' }),
  };
}
