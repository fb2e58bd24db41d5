import { MutationCache, QueryCache, QueryClient, useMutation, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

import { shorten } from './list';
import { Problem } from './problem';

/** A reader who changes something stays where they are in a list, unless that would be more pages than these. */
const MANY_PAGES = 20;

/** Refusals that asking again does not change. */
function final(problem: Problem): boolean {
  return problem.status >= 400 && problem.status < 500 && problem.status !== 429;
}

/** The key of who looks at the page. */
export const SESSION = ['get', '/admin/api/session'];

export const queryClient = new QueryClient({
  queryCache: new QueryCache(),
  // In another window one signed in anew: with what the session says now, the same change can be made.
  mutationCache: new MutationCache({ onError: (error) => void (Problem.of(error).code === 'csrf_needed' && queryClient.refetchQueries({ queryKey: SESSION })) }),
  defaultOptions: {
    // What the browser takes for being offline is none: the gateway may run on this machine. What fails is said.
    queries: {
      networkMode: 'always',
      staleTime: 5_000,
      retry: (count, error) => count < 2 && !final(Problem.of(error)),
      throwOnError: false,
    },
    // What changes something is asked once: the reader decides whether to ask again. Not even being offline pauses it, so that it is said.
    // Nor does anything of it stay long when the form has gone: it may be a password, or a key that is shown once.
    mutations: { retry: false, networkMode: 'always', gcTime: 1_000 },
  },
});

/** Marks what was read below these paths as old, so that what is shown is asked for again. */
export function useRefresh(): (...prefixes: string[]) => Promise<void> {
  const client = useQueryClient();
  return useCallback(
    (...prefixes: string[]) => {
      const predicate = ({ queryKey }: { queryKey: readonly unknown[] }) => prefixes.some((prefix) => String(queryKey[1]).startsWith(prefix));
      shorten(client.getQueryCache().findAll({ predicate }), MANY_PAGES);
      return client.invalidateQueries({ predicate });
    },
    [client],
  );
}

/**
 * A change: `act` makes it, afterwards everything below `refreshes` is asked for anew.
 *
 * `error` is always a {@link Problem}, for {@link ProblemAlert} beside the form, or left to `useAct`, which shows it as a notification.
 */
export function useChange<In = void, Out = unknown>(
  act: (input: In) => Promise<Out>,
  options: { refreshes?: string[]; onDone?: (out: Out, input: In) => void } = {},
) {
  const refresh = useRefresh();
  return useMutation<Out, Problem, In>({
    mutationFn: async (input) => {
      try {
        return await act(input);
      } catch (error) {
        throw Problem.of(error);
      }
    },
    onSuccess: (out, input) => {
      if (options.refreshes?.length) void refresh(...options.refreshes);
      options.onDone?.(out, input);
    },
  });
}
