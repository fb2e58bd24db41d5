/** Lines that places such as `polyport.yaml:12:3` or `polyport.yaml, line 12, column 3` name. */
export function linesWrong(places: string[]): ReadonlySet<number> {
  const lines = places.flatMap((place) => {
    const [, line] = /(?::|\bline )(\d+)/.exec(place) ?? [];
    return line ? [Number(line)] : [];
  });
  return new Set(lines);
}

/** Where a thing that is not in force is put right. */
export function placeOf(kind: string, id: string, name: string): { to: string; search: Record<string, string> } | null {
  switch (kind) {
    case 'provider':
      return { to: '/providers', search: { open: name } };
    case 'credential':
      return { to: '/credentials', search: { open: id } };
    case 'pool':
      return { to: '/pools', search: { open: name } };
    case 'route':
      return { to: '/routes', search: { open: id } };
    case 'setting':
      return { to: '/settings', search: name.startsWith('notifications.') ? { tab: 'notifications' } : { q: name } };
    default:
      return null;
  }
}
