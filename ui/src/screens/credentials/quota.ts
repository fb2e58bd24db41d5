import type { Schemas } from '../../api/client';

export type Credential = Schemas['Credential'];
export type Bucket = Schemas['Bucket'];

/** What is left of an allowance, from 0 to 1; nothing where it is not known or has no end. */
export function left(bucket: Bucket): number | undefined {
  if (bucket.unlimited) return undefined;
  if (bucket.remaining != null) return clamp(bucket.remaining);
  if (bucket.limit != null && bucket.limit > 0 && bucket.used != null) return clamp(1 - bucket.used / bucket.limit);
  return undefined;
}

const clamp = (share: number) => Math.min(1, Math.max(0, share));

/** The allowance that ends first. */
export function tightest(buckets: readonly Bucket[] | undefined): { bucket: Bucket; left: number } | undefined {
  let found: { bucket: Bucket; left: number } | undefined;
  for (const bucket of buckets ?? []) {
    const share = left(bucket);
    if (share !== undefined && (found === undefined || share < found.left)) found = { bucket, left: share };
  }
  return found;
}

/** Colour of what is left; it is told in numbers as well. */
export const quotaColour = (share: number): string => (share <= 0.05 ? 'red' : share <= 0.2 ? 'orange' : 'teal');

/** A pace as it is written: `60/m`. */
export function paceText(pace: { requests: number; per_ms: number } | null | undefined): string | undefined {
  if (!pace) return undefined;
  const unit = { 1000: 's', 60_000: 'm', 3_600_000: 'h', 86_400_000: 'd' }[pace.per_ms];
  return unit ? `${pace.requests}/${unit}` : `${pace.requests}/${pace.per_ms} ms`;
}

/** Statuses with how often they came, good ones first. */
export function statuses(codes: Record<string, number> | null | undefined): { code: string; count: number; good: boolean }[] {
  return Object.entries(codes ?? {})
    .map(([code, count]) => ({ code, count, good: code.startsWith('2') }))
    .sort((one, other) => Number(other.good) - Number(one.good) || other.count - one.count);
}

/** Services whose terms may not allow to be used this way, by what is known of the provider. */
export function isRisky(provider: Pick<Schemas['Provider'], 'definition' | 'address'> | undefined): boolean {
  const told = `${String(provider?.definition?.preset ?? '')} ${String(provider?.definition?.adapter ?? '')} ${provider?.address ?? ''}`;
  return /code.assist|antigravity|cloudcode-pa|warp/.test(told);
}
