import type { Problem } from '../../api/problem';

export type HealthWord = 'fine' | 'draining' | 'ailing' | 'lost';

/** How the gateway fares, by what came of asking it. Somebody who may not ask, or asked too often, was answered all the same. */
export function healthOf(problem: Pick<Problem, 'code' | 'status'> | null, draining: boolean): HealthWord {
  if (problem && (problem.code === 'offline' || problem.code === 'unreadable' || [502, 504].includes(problem.status))) return 'lost';
  if (problem && problem.status >= 500) return 'ailing';
  return draining ? 'draining' : 'fine';
}
