import type { Schemas } from '../../api/client';

type Row = Schemas['UsageRow'];
export type Measure = 'cost' | 'requests' | 'tokens' | 'failed';
export type Dimension = 'model' | 'user' | 'key' | 'provider';

/** A row as it is ranked: what is measured as one number, which for costs is of the currency that is spent most. */
export interface Ranked {
  id: string | null;
  name: string | null;
  value: number;
  /** Part of the greatest. */
  share: number;
  row: Row;
}

export function ranked(rows: Row[], by: Dimension, measure: Measure, currency: string | undefined): Ranked[] {
  const all = rows.map((row) => {
    const value = measure === 'cost' ? Number(row.cost[currency ?? ''] ?? 0) : row[measure];
    const id = row[by] ?? null;
    return { id, name: (by === 'user' || by === 'key' ? row[`${by}_name`] : null) ?? id, value, row };
  });
  all.sort((one, other) => other.value - one.value);
  const greatest = Math.max(0, ...all.map(({ value }) => value));
  return all.map((one) => ({ ...one, share: greatest > 0 ? one.value / greatest : 0 }));
}

/** The currency of the most rows; others are told beside it, but not compared with it. */
export function mainCurrency(rows: Row[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { cost } of rows) for (const currency of Object.keys(cost)) counts.set(currency, (counts.get(currency) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0]))[0]?.[0];
}
