import { useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { formatTagOf } from '../app/i18n';

/** Everything that numbers and times are written with, in the reader's language and zone. */
export interface Format {
  /** `12,345`. */
  number: (value: number | null | undefined, digits?: number) => string;
  /** `12.3K`: where there is little room. */
  short: (value: number | null | undefined) => string;
  /** Beside an axis: short where it is great, with the digits that matter where it is small. */
  axis: (value: number) => string;
  /** A share of one: `98.2 %`. */
  percent: (share: number | null | undefined, digits?: number) => string;
  /** Milliseconds: `820 ms`, `1.4 s`, `3 min 5 s`. */
  duration: (ms: number | null | undefined) => string;
  /** Day and time; Unix milliseconds or RFC 3339. */
  time: (at: number | string | null | undefined) => string;
  /** The day alone; the year where it is another one. */
  day: (at: number | string | null | undefined) => string;
  /** The time of the day with seconds. */
  clock: (at: number | string | null | undefined) => string;
  /** `3 minutes ago`. */
  ago: (at: number | string | null | undefined) => string;
  /** Costs by currency, as the gateway tells them: decimal texts, which are not rounded before they are shown. */
  money: (cost: Record<string, string> | null | undefined) => string;
}

/** What stands where there is nothing. */
const NONE = '–';

/** `regions`: the tags that the reader's browser names, the most wanted first. */
export function makeFormat(language: string, regions: readonly string[] = []): Format {
  const tag = formatTagOf(language, regions);
  const time = new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' });
  const day = new Intl.DateTimeFormat(tag, { month: 'short', day: 'numeric' });
  const dayOfYear = new Intl.DateTimeFormat(tag, { dateStyle: 'medium' });
  const clock = new Intl.DateTimeFormat(tag, { timeStyle: 'medium' });
  const relative = new Intl.RelativeTimeFormat(tag, { numeric: 'auto' });
  const short = new Intl.NumberFormat(tag, { notation: 'compact', maximumFractionDigits: 1 });
  const number = (value: number, digits: number) => new Intl.NumberFormat(tag, { maximumFractionDigits: digits }).format(value);
  const given = <T,>(value: T | null | undefined, write: (value: T) => string) => (value == null || Number.isNaN(value) ? NONE : write(value));
  const date = (at: number | string, write: (date: Date) => string) => {
    const parsed = new Date(at);
    return Number.isNaN(parsed.getTime()) ? NONE : write(parsed);
  };
  return {
    number: (value, digits = 0) => given(value, (value) => number(value, digits)),
    short: (value) => given(value, (value) => short.format(value)),
    axis: (value) => (Math.abs(value) >= 1000 ? short.format(value) : number(value, value !== 0 && Math.abs(value) < 0.0001 ? 9 : 6)),
    percent: (share, digits = 1) =>
      given(share, (share) => new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: digits }).format(share)),
    duration: (ms) => given(ms, (ms) => writeDuration(ms, tag, number)),
    time: (at) => given(at, (at) => date(at, (date) => time.format(date))),
    day: (at) => given(at, (at) => date(at, (date) => (date.getFullYear() === new Date().getFullYear() ? day : dayOfYear).format(date))),
    clock: (at) => given(at, (at) => date(at, (date) => clock.format(date))),
    ago: (at) =>
      given(at, (at) =>
        date(at, (date) => {
          const seconds = (date.getTime() - Date.now()) / 1000;
          // What is rounded up to the next unit is told in it: an hour, not 60 minutes.
          const [unit, size] = UNITS.find(([, size, below]) => Math.abs(seconds) >= size - below / 2) ?? (['second', 1] as const);
          return relative.format(Math.round(seconds / size), unit);
        }),
      ),
    money: (cost) => {
      const entries = Object.entries(cost ?? {});
      if (entries.length === 0) return NONE;
      return entries
        .map(([currency, text]) => {
          const value = Number(text);
          const digits = value !== 0 && Math.abs(value) < 0.01 ? 6 : Math.abs(value) < 10 ? 4 : 2;
          try {
            return new Intl.NumberFormat(tag, { style: 'currency', currency, maximumFractionDigits: digits, minimumFractionDigits: 2 }).format(value);
          } catch {
            return `${text} ${currency}`;
          }
        })
        .join(' + ');
    },
  };
}

/** Units of time, their seconds, and those of the next smaller one. */
const UNITS = [
  ['year', 31_536_000, 2_592_000],
  ['month', 2_592_000, 86_400],
  ['day', 86_400, 3_600],
  ['hour', 3_600, 60],
  ['minute', 60, 1],
] as const;

function writeDuration(ms: number, tag: string, number: (value: number, digits: number) => string): string {
  if (ms < 1000) return `${number(ms, ms < 10 ? 1 : 0)} ms`;
  // Up to what would be written as a minute.
  if (ms < 59_950) return `${number(ms / 1000, ms < 9_995 ? 2 : 1)} s`;
  const unit = (value: number, unit: string) => new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'short' }).format(value);
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 60) return `${unit(minutes, 'minute')} ${unit(seconds % 60, 'second')}`;
  return hours < 48 ? `${unit(hours, 'hour')} ${unit(minutes % 60, 'minute')}` : `${unit(Math.floor(hours / 24), 'day')} ${unit(hours % 24, 'hour')}`;
}

export function useFormat(): Format {
  const { i18n } = useTranslation();
  return useMemo(() => makeFormat(i18n.language, navigator.languages), [i18n.language]);
}

/** The time, every so many milliseconds while somebody looks. */
export function useNow(every = 1000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** How long it is until then (Unix milliseconds), counted down; empty when it is over. */
export function useCountdown(until: number | null | undefined): string {
  const [now, setNow] = useState(Date.now);
  const format = useFormat();
  const running = until != null && until > now;
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return running ? format.duration(Math.ceil((until - now) / 1000) * 1000) : '';
}
