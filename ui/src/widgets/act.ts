import { notifications } from '@mantine/notifications';

import { Problem } from '../api/problem';
import { useChange } from '../api/query';
import { useProblemWords } from './problemWords';

/** A change that is made by a button alone: how it went is told by a notification. */
export function useAct<In = void, Out = unknown>(
  act: (input: In) => Promise<Out>,
  options: { refreshes?: string[]; done?: string | ((out: Out, input: In) => string); onDone?: (out: Out, input: In) => void } = {},
) {
  const tell = useTell();
  const change = useChange<In, Out>(act, {
    refreshes: options.refreshes,
    onDone: (out, input) => {
      if (options.done) tell.done(typeof options.done === 'string' ? options.done : options.done(out, input));
      options.onDone?.(out, input);
    },
  });
  return { ...change, run: (input: In) => change.mutate(input, { onError: (error) => tell.problem(error) }) };
}

/** Notifications. */
export function useTell() {
  const words = useProblemWords();
  return {
    done: (message: string) => notifications.show({ message, color: 'teal' }),
    warn: (message: string) => notifications.show({ message, color: 'orange', autoClose: 12_000 }),
    problem: (error: unknown) => {
      const problem = Problem.of(error);
      const { title, remedy } = words(problem);
      const details = problem.errors.map((entry) => [entry.detail, entry.remedy].filter(Boolean).join(' — ')).slice(0, 3);
      notifications.show({
        title,
        message: [...new Set([remedy, problem.detail, ...details])].filter(Boolean).join('\n'),
        color: 'red',
        autoClose: 12_000,
        style: { whiteSpace: 'pre-line' },
      });
    },
  };
}
