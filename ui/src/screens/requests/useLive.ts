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

/**
 * Follows requests as they end. `onGap` is called where some may have gone by unseen: the connection was lost,
 * or they came too fast.
 */
export function useLive(on: boolean, query: Query, wants: (row: Row) => boolean, onGap: () => void) {
  const [tail, act] = useReducer(step, EMPTY);
  const [state, setState] = useState<LiveState>('connecting');
  const [problem, setProblem] = useState<Problem>();
  const shownAt = useRef(new WeakMap<Row, number>());
  const latest = useRef({ wants, onGap });
  latest.current = { wants, onGap };
  const path = withQuery('/admin/api/requests/live', query);
  useEffect(() => {
    act({ kind: 'start' });
    if (!on) return undefined;
    const ending = new AbortController();
    let come: Row[] = [];
    let before: LiveState = 'connecting';
    let connections = 0;
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
          latest.current.onGap();
        }
      },
      (now, problem) => {
        if (now === 'live') {
          connections += 1;
          if (connections > 1) latest.current.onGap();
        }
        // Coming back after ten minutes, as the gateway has it, is nothing to tell.
        if (!(now === 'connecting' && before === 'live')) setState(now);
        setProblem(problem);
        before = now;
      },
    );
    return () => {
      ending.abort();
      clearInterval(timer);
    };
  }, [on, path]);
  return {
    tail,
    state,
    problem,
    isFresh: (row: Row) => Date.now() - (shownAt.current.get(row) ?? 0) < FRESH,
    pause: () => act({ kind: 'pause' }),
    resume: () => act({ kind: 'resume' }),
  };
}
