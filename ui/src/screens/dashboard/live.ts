import type { Schemas } from '../../api/client';
import type { ServerEvent } from '../../api/stream';

/** A second that is over. */
export type Second = Schemas['LiveSecond'];
export type LiveProvider = Schemas['LiveProvider'];

export interface Live {
  /** The last five minutes, the oldest first. */
  seconds: (Second & { time: number })[];
  providers: LiveProvider[] | null;
}

export const NOTHING: Live = { seconds: [], providers: null };

/** How far back it goes, in milliseconds. */
export const PAST = 300_000;

function timed(second: Second): Live['seconds'] {
  const time = Date.parse(second.at ?? '');
  return Number.isNaN(time) ? [] : [{ ...second, time }];
}

/** What is known after an event. What cannot be read changes nothing. */
export function after(live: Live, { event, data }: ServerEvent): Live {
  let told: { seconds?: Second[]; providers?: LiveProvider[] } & Partial<Second>;
  try {
    told = JSON.parse(data);
  } catch {
    return live;
  }
  if (event === 'providers') return { ...live, providers: told.providers ?? [] };
  if (event === 'past') return { ...live, seconds: (told.seconds ?? []).flatMap(timed) };
  if (event !== 'second') return live;
  const [next] = timed(told as Second);
  if (!next) return live;
  return { ...live, seconds: [...live.seconds.filter(({ time }) => time > next.time - PAST && time < next.time), next] };
}

/** Sums of the last so many seconds, up to the last one that was told. */
export function sums(live: Live, seconds: number) {
  const end = live.seconds.at(-1)?.time ?? 0;
  const begin = end - seconds * 1000;
  const all = live.seconds.filter(({ time }) => time > begin);
  const sum = (of: (second: Second) => number) => all.reduce((before, second) => before + of(second), 0);
  const prompts = sum((second) => second.input + second.cache_read + second.cache_write);
  const requests = sum((second) => second.requests);
  const failed = sum((second) => second.failed);
  return {
    /** How many seconds there are: fewer where the gateway has just started. */
    seconds: all.length,
    requests,
    failed,
    tokens: sum(tokensOf),
    cost: costOf(all),
    errorRate: requests > 0 ? failed / requests : null,
    cacheHitRate: prompts > 0 ? sum((second) => second.cache_read) / prompts : null,
  };
}

export function tokensOf(second: Second): number {
  return second.input + second.output + second.cache_read + second.cache_write + second.reasoning;
}

/** Costs by currency, summed up: for showing, so that what doubles cannot hold does not matter. */
export function costOf(rows: { cost: Record<string, string> }[]): Record<string, string> {
  const sums: Record<string, number> = {};
  for (const { cost } of rows) for (const [currency, text] of Object.entries(cost)) sums[currency] = (sums[currency] ?? 0) + Number(text);
  return Object.fromEntries(Object.entries(sums).map(([currency, sum]) => [currency, String(sum)]));
}

/** Those that fail or rest first, then those that do most. */
export function byNeed(providers: LiveProvider[]): LiveProvider[] {
  const need = ({ state, failed }: LiveProvider) => (state && !['ready', 'refreshing', 'disabled'].includes(state) ? 2 : failed > 0 ? 1 : 0);
  return [...providers].sort((one, other) => need(other) - need(one) || other.requests - one.requests || one.name.localeCompare(other.name));
}
