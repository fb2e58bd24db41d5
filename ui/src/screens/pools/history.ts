/** What was, what is, and what was undone. */
export interface History<T> {
  past: T[];
  now: T;
  future: T[];
}

const MOST = 100;

export function start<T>(now: T): History<T> {
  return { past: [], now, future: [] };
}

/** Goes on; changes of the same kind in a row (typing) are one step. */
export function go<T>(history: History<T>, now: T, joins = false): History<T> {
  if (joins && history.past.length > 0) return { ...history, now, future: [] };
  return { past: [...history.past, history.now].slice(-MOST), now, future: [] };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  return before === undefined ? history : { past: history.past.slice(0, -1), now: before, future: [history.now, ...history.future] };
}

export function redo<T>(history: History<T>): History<T> {
  const [next, ...rest] = history.future;
  return next === undefined ? history : { past: [...history.past, history.now], now: next, future: rest };
}
