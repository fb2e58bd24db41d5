import { useNavigate, useRouter, useSearch as useRouterSearch } from '@tanstack/react-router';
import { useCallback } from 'react';

type Search = Record<string, unknown>;

/** Members of the address that open something over a screen. */
const OVER = ['id', 'open', 'new', 'add', 'rule'];

const isOver = (search: Search): boolean => OVER.some((name) => search[name] !== undefined && search[name] !== '');

/** The place of the history that was gone back from last, and when. */
let left: { from?: string; at: number } = { at: 0 };
/** So long it may take until another place is there, in milliseconds. */
const SOON = 400;

/** The same for the same members, in whatever order they came. */
const written = (search: Search): string => JSON.stringify(Object.entries(search).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Going back was taken back: the reader stays, and may want to go later. */
export function stayed(): void {
  left = { at: 0 };
}

/** How the history goes on from one place of a screen to another: what is opened over it is gone back from, as phones and browsers have it. */
export function step(before: Search, after: Search, beneath: string | undefined): 'push' | 'replace' | 'back' {
  if (isOver(after)) return isOver(before) ? 'replace' : 'push';
  return isOver(before) && beneath === written(after) ? 'back' : 'replace';
}

/**
 * What a screen shows (filters, tabs, what is open), kept in the address: it survives a reload and can be sent to others.
 *
 * `known` names what there is and its default; what equals the default is left out of the address. What is set together is one step: it is set in one call.
 */
export function useSearch<T extends Record<string, string>>(known: T): [T, (next: Partial<T>) => void] {
  const search = useRouterSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const router = useRouter();
  const current = Object.fromEntries(
    Object.entries(known).map(([name, value]) => [name, search[name] === undefined ? value : String(search[name])]),
  ) as T;
  const set = useCallback(
    (next: Partial<T>) => {
      const { search: before, state } = router.latestLocation as { search: Search; state: { __TSR_key?: string; beneath?: string } };
      const after: Search = { ...before, ...next };
      for (const [name, value] of Object.entries(known)) {
        if (after[name] === value || after[name] === undefined) delete after[name];
      }
      const how = step(before, after, state.beneath);
      if (how === 'back') {
        // The other place is there only a moment later: what is closed twice until then would leave the screen.
        const from = state.__TSR_key;
        if (left.from === from && Date.now() - left.at < SOON) return;
        left = { from, at: Date.now() };
        router.history.back();
        return;
      }
      const beneath = how === 'push' ? written(before) : isOver(after) ? state.beneath : undefined;
      // Where the reader is on the screen stays: what is shown there changes, and not where they look.
      void navigate({ to: '.', replace: how === 'replace', resetScroll: false, search: after as never, state: { beneath } as never });
    },
    // The names of a screen do not change.
    [navigate, router],
  );
  return [current, set];
}
