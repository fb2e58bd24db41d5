import type { Schemas } from '../../api/client';
import type { Role } from '../../app/session';
import type { PlotSeries } from '../../widgets/plot';

export type Row = Schemas['UsageRow'];
export type Measure = 'cost' | 'requests' | 'tokens' | 'failed';
export const MEASURES: Measure[] = ['cost', 'requests', 'tokens', 'failed'];

export type Dimension = 'model' | 'user' | 'key' | 'team' | 'provider' | 'credential';
const DIMENSIONS: Dimension[] = ['model', 'user', 'key', 'team', 'provider', 'credential'];

/** What can be told apart by whom. */
export function dimensionsOf(role: Role): Dimension[] {
  const hidden: Record<Role, Dimension[]> = { admin: [], manager: ['team', 'credential'], member: ['user', 'team', 'credential'] };
  return DIMENSIONS.filter((one) => !hidden[role].includes(one));
}

/** `model,user` of an address, without what nobody knows or may ask; the first that there is where nothing is left. */
export function readBy(text: string, allowed: Dimension[]): Dimension[] {
  const wanted = text.split(',').filter((one): one is Dimension => allowed.includes(one as Dimension));
  return wanted.length > 0 ? [...new Set(wanted)].slice(0, 3) : allowed.slice(0, 1);
}

/** The name of a filter, as the API has it. */
export function filterOf(dimension: Dimension): string {
  return dimension === 'key' ? 'of_key' : dimension;
}

/** What a row is of, as one text that no other row has. */
export function idOf(row: Row, by: Dimension[]): string {
  return JSON.stringify(by.map((one) => row[one] ?? null));
}

/** What people call it; null for what is none of its kind. */
export function nameOf(row: Row, dimension: Dimension): string | null {
  const named = dimension === 'key' || dimension === 'user' || dimension === 'team' ? row[`${dimension}_name`] : null;
  return named ?? row[dimension] ?? null;
}

/** Filters for what a row is of; null where it is of nothing, which cannot be asked for. */
export function filtersOf(row: Row, by: Dimension[]): Record<string, string> | null {
  const all = by.map((one) => [filterOf(one), row[one] ?? null] as const);
  return all.every(([, id]) => id !== null) ? Object.fromEntries(all as [string, string][]) : null;
}

/** A measure as a number. Costs are of one currency: those of several are not added up. */
export function valueOf(row: Row | undefined, measure: Measure, currency: string): number {
  if (!row) return 0;
  return measure === 'cost' ? Number(row.cost[currency] ?? 0) : row[measure];
}

/** All currencies, the one of most rows first. */
export function currenciesOf(rows: Row[]): string[] {
  const counts = new Map<string, number>();
  for (const { cost } of rows) for (const currency of Object.keys(cost)) counts.set(currency, (counts.get(currency) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0])).map(([currency]) => currency);
}

/** How much more it is than before. The relative change of nothing is unknown. */
export function change(now: number, before: number): { by: number; rate: number | null } {
  return { by: now - before, rate: before > 0 ? (now - before) / before : null };
}

/** Rows of a series as values of each period; periods without a row had nothing. */
function values(rows: Row[], starts: number[], measure: Measure, currency: string): number[] {
  const found = new Map(rows.map((row) => [Date.parse(row.starts ?? ''), row]));
  return starts.map((start) => valueOf(found.get(start), measure, currency));
}

/** The greatest groups, and what is left of the whole. */
export function seriesOf(
  all: Row[], groups: { label: string; rows: Row[] }[], starts: number[], measure: Measure, currency: string, others: string,
): PlotSeries[] {
  const shown: PlotSeries[] = groups.map(({ label, rows }) => ({ label, values: values(rows, starts, measure, currency) }));
  const whole = values(all, starts, measure, currency);
  const rest = whole.map((value, at) => {
    const left = value - shown.reduce((sum, one) => sum + (one.values[at] ?? 0), 0);
    // What doubles cannot hold is no use of others.
    return left > Math.abs(value) * 1e-9 ? left : 0;
  });
  if (groups.length === 0 || rest.some((value) => value > 0)) shown.push({ label: others, values: rest, tone: groups.length > 0 ? 'quiet' : undefined });
  return shown;
}

const COUNTS = ['requests', 'ok', 'failed', 'attempts', 'input', 'cache_read', 'cache_write', 'output', 'reasoning', 'tokens', 'estimated', 'unpriced'] as const;

/** Rows as a table for a spreadsheet, each currency in a column of its own. */
export function tableOf(rows: Row[], by: Dimension[], earlier?: Map<string, Row>): { head: string[]; rows: (string | number | null)[][] } {
  const currencies = currenciesOf([...rows, ...(earlier?.values() ?? [])]).sort();
  const head = by.flatMap((one) => (one === 'key' || one === 'user' || one === 'team' ? [one, `${one}_id`] : [one]));
  const measured = [...COUNTS, ...currencies.map((currency) => `cost_${currency}`)];
  const cells = (row: Row | undefined) => [
    ...COUNTS.map((name) => row?.[name] ?? 0),
    // As the gateway wrote it: with all its digits.
    ...currencies.map((currency) => row?.cost[currency] ?? null),
  ];
  return {
    head: [...head, ...measured, 'mean_ms', ...(earlier ? measured.map((name) => `before_${name}`) : [])],
    rows: rows.map((row) => [
      ...by.flatMap((one) => (one === 'key' || one === 'user' || one === 'team' ? [nameOf(row, one), row[one] ?? null] : [row[one] ?? null])),
      ...cells(row),
      row.requests > 0 ? Math.round(row.duration_ms / row.requests) : null,
      ...(earlier ? cells(earlier.get(idOf(row, by))) : []),
    ]),
  };
}
