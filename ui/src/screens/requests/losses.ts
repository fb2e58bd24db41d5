/** One thing that could not be carried. */
export interface Loss {
  code: string;
  action: string;
  /** JSON pointer in the client's request or the provider's answer. */
  path: string;
  detail: string;
}

/**
 * Reads the log's report of losses: `code;action path (detail), …`, and what did not fit counted at the end. A detail may hold commas and
 * parentheses, so an entry ends only where another one (or the count) begins.
 */
export function readLosses(report: string | null | undefined): { losses: Loss[]; more: number; rest: string } {
  if (!report) return { losses: [], more: 0, rest: '' };
  const counted = /, and (\d+) more$/.exec(report);
  const text = counted ? report.slice(0, counted.index) : report;
  const losses: Loss[] = [];
  const unread: string[] = [];
  for (const entry of text.split(/, (?=[a-z0-9_]+(?:\.[a-z0-9_]+)+;[a-z]+ )/)) {
    const [, code, action, path, detail = ''] = /^([a-z0-9_.]+);([a-z]+) (\S*)(?: \((.*)\))?$/s.exec(entry) ?? [];
    if (code && action) losses.push({ code, action, path: path ?? '', detail });
    else unread.push(entry);
  }
  return { losses, more: Number(counted?.[1] ?? 0), rest: unread.join(', ') };
}

/** Reads the header `x-polyport-loss`: `code;action, …`. */
export function readLossHeader(header: string | null | undefined): { code: string; action: string }[] {
  return (header ?? '')
    .split(',')
    .map((pair) => pair.trim().split(';'))
    .flatMap(([code, action]) => (code ? [{ code, action: action ?? '' }] : []));
}
