import { useTranslation } from 'react-i18next';

import type { Problem } from '../api/problem';

/** Statuses that say enough by themselves; what is like one of them has its words. */
const STATUSES: [number, string][] = [
  [404, 'status_404'],
  [413, 'status_413'],
  [429, 'status_429'],
  [502, 'status_502'],
  [503, 'status_502'],
  [504, 'status_502'],
];

/** Under which names words for a problem may stand, the best first. */
export function wordsOf({ code, status }: Pick<Problem, 'code' | 'status'>): string[] {
  const byStatus = STATUSES.find(([known]) => known === status)?.[1] ?? (status >= 500 ? 'status_500' : undefined);
  if (!byStatus) return [code];
  // The gateway itself says so: it is whom it asked that did not answer.
  if (byStatus === 'status_502' && code !== 'unreadable' && code !== 'refused') return [code, 'asked_others'];
  // What is no problem document, or names no code, tells less than the status.
  return code === 'unreadable' || code === 'refused' ? [byStatus, code] : [code, byStatus];
}

/** What a problem is called, and what to do about it, in the reader's language. What the gateway says in its own words comes after that. */
export function useProblemWords(): (problem: Problem) => { title: string; remedy: string } {
  const { t } = useTranslation();
  return (problem) => {
    const names = wordsOf(problem);
    const said = (where: string, otherwise: string) => t(names.map((name) => `common:${where}.${name}`), { defaultValue: otherwise });
    return { title: said('problemTitles', problem.title || t('common:problem')), remedy: said('problems', '') };
  };
}
