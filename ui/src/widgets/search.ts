import { useNavigate, useSearch as useRouterSearch } from '@tanstack/react-router';
import { useCallback } from 'react';

/**
 * What a screen shows (filters, tabs, what is open), kept in the address: it survives a reload and can be sent to others.
 *
 * `known` names what there is and its default; what equals the default is left out of the address.
 */
export function useSearch<T extends Record<string, string>>(known: T): [T, (next: Partial<T>) => void] {
  const search = useRouterSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const current = Object.fromEntries(
    Object.entries(known).map(([name, value]) => [name, search[name] === undefined ? value : String(search[name])]),
  ) as T;
  const set = useCallback(
    (next: Partial<T>) => {
      void navigate({
        to: '.',
        replace: true,
        search: ((before: Record<string, unknown>) => {
          const after: Record<string, unknown> = { ...before, ...next };
          for (const [name, value] of Object.entries(known)) {
            if (after[name] === value || after[name] === undefined) delete after[name];
          }
          return after;
        }) as never,
      });
    },
    // The names of a screen do not change.
    [navigate],
  );
  return [current, set];
}
