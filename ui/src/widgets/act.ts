import { notifications } from '@mantine/notifications';
import { useTranslation } from 'react-i18next';

import { Problem } from '../api/problem';
import { useChange } from '../api/query';

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
  const { t } = useTranslation();
  return {
    done: (message: string) => notifications.show({ message, color: 'teal' }),
    problem: (error: unknown) => {
      const problem = Problem.of(error);
      const remedy = t(`problems.${problem.code}`, { defaultValue: '' });
      const details = problem.errors.map((entry) => [entry.detail, entry.remedy].filter(Boolean).join(' — ')).slice(0, 3);
      notifications.show({
        title: problem.title || t('problem'),
        message: [...new Set([remedy, problem.detail, ...details])].filter(Boolean).join('\n'),
        color: 'red',
        autoClose: 12_000,
        style: { whiteSpace: 'pre-line' },
      });
    },
  };
}
