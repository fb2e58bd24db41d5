import type { Schemas } from '../../api/client';
import { contains, matches } from './pattern';

export type Route = Schemas['Route'];

export interface When {
  model: string;
  keywords: string[];
  protocol: string;
  headers: { name: string; value: string }[];
  callers: string[];
}

/** A route as a form holds it; empty means: as the gateway does where nothing is said. */
export interface Draft {
  name: string;
  enabled: boolean;
  when: When;
  to: string;
  priority: number;
  overrides: '' | 'yes' | 'no';
  mode: '' | 'transform' | 'direct';
  keys: string[];
  attempts: string;
  patience: string;
  maxWait: string;
  hedge: '' | 'on' | 'off';
  afterPercentile: string;
  maxShare: string;
  minDelay: string;
  samples: string;
  disconnect: '' | 'cancel' | 'drain';
  drainTokens: string;
  capture: boolean;
}

export const EMPTY: Draft = {
  name: '', enabled: true, when: { model: '', keywords: [], protocol: '', headers: [], callers: [] }, to: '', priority: 1, overrides: '', mode: '', keys: [],
  attempts: '', patience: '', maxWait: '', hedge: '', afterPercentile: '', maxShare: '', minDelay: '', samples: '', disconnect: '', drainTokens: '', capture: false,
};

type Members = Record<string, unknown>;
const members = (value: unknown): Members => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {});
const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');
const texts = (value: unknown): string[] => (typeof value === 'string' ? [value] : Array.isArray(value) ? value.map(text).filter(Boolean) : []);

/** When a route holds, whether it is in force or only declared. */
export function whenOf(route: Route): When {
  const match = members(route.match ?? route.definition?.match);
  return {
    model: text(match.model),
    keywords: texts(match.model_contains),
    protocol: text(match.protocol),
    headers: Object.entries(members(match.header)).map(([name, value]) => ({ name, value: text(value) })),
    callers: texts(match.caller),
  };
}

export function toOf(route: Route): string {
  return route.to ?? text(route.definition?.to);
}

export function priorityOf(route: Route): number {
  const declared = route.definition?.priority;
  return route.priority ?? (typeof declared === 'number' ? declared : 1);
}

/** Whether it is asked before the names that models and pools list. */
export function goesFirst(when: When, overrides: boolean | null | undefined): boolean {
  return overrides ?? (when.headers.length > 0 || when.callers.length > 0);
}

export function isFirst(route: Route): boolean {
  const declared = route.definition?.overrides;
  return goesFirst(whenOf(route), route.overrides ?? (typeof declared === 'boolean' ? declared : null));
}

/** What a route is called where it has no name: what opens it in the address. */
export function keyOf(route: Route): string {
  return route.id ?? String(route.index ?? '');
}

/** The routes in the order in which they are asked; those that are not in force stand last. */
export function inOrder(routes: Route[]): Route[] {
  const rank = (route: Route) => (route.index == null ? 2 : isFirst(route) ? 0 : 1);
  return [...routes].sort((a, b) => rank(a) - rank(b) || priorityOf(a) - priorityOf(b) || (a.index ?? Infinity) - (b.index ?? Infinity) || 0);
}

export function draftOf(route: Route): Draft {
  const from = members(route.definition);
  const retry = members(from.retry);
  const hedge = members(from.hedge);
  const overrides = route.overrides ?? from.overrides;
  return {
    name: route.name ?? '',
    enabled: route.enabled !== false,
    when: whenOf(route),
    to: toOf(route),
    priority: priorityOf(route),
    overrides: overrides === true ? 'yes' : overrides === false ? 'no' : '',
    mode: (route.mode ?? text(from.mode)) as Draft['mode'],
    keys: route.keys ?? texts(from.keys),
    attempts: text(retry.attempts),
    patience: text(retry.patience),
    maxWait: text(retry.max_wait),
    hedge: from.hedge == null ? '' : hedge.enabled === false ? 'off' : 'on',
    afterPercentile: text(hedge.after_percentile),
    maxShare: text(hedge.max_share),
    minDelay: text(hedge.min_delay),
    samples: text(hedge.samples),
    disconnect: text(from.disconnect) as Draft['disconnect'],
    drainTokens: text(from.drain_tokens),
    capture: from.capture === true,
  };
}

/** A time as the gateway writes it: a number with a unit, or 0. */
export const TIME = /^(\d+(\.\d+)?(ms|s|m|min|h|d)|0)$/;

/** A route as it is declared. For a change, what is empty is taken out (`null`), for a new one it is left out. */
export function definitionOf(draft: Draft, change: boolean): Members {
  const number = (text: string) => (text.trim() === '' ? null : Number(text));
  const given = (value: string) => value.trim() || null;
  const some = (value: Members) => {
    const kept = Object.fromEntries(Object.entries(value).filter(([, value]) => value !== null));
    return Object.keys(kept).length > 0 ? kept : null;
  };
  const { when } = draft;
  const headers = Object.fromEntries(when.headers.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim().toLowerCase(), value]));
  // A merge patch keeps what it does not name: members of objects are named, too, so that what was taken out goes.
  const whole = (value: Members | null, all: string[]) => (value === null ? null : change ? { ...Object.fromEntries(all.map((name) => [name, null])), ...value } : value);
  const all: Members = {
    // A name is taken out by an empty one.
    name: change ? draft.name.trim() : given(draft.name),
    match: whole(
      some({
        model: given(when.model),
        model_contains: when.keywords.length > 0 ? when.keywords : null,
        protocol: when.protocol || null,
        header: Object.keys(headers).length > 0 ? headers : null,
        caller: when.callers.length > 0 ? when.callers : null,
      }),
      ['model', 'model_contains', 'protocol', 'header', 'caller'],
    ),
    to: draft.to.trim(),
    priority: draft.priority === 1 ? null : draft.priority,
    overrides: draft.overrides === '' ? null : draft.overrides === 'yes',
    mode: draft.mode || null,
    keys: draft.keys.length > 0 ? draft.keys : null,
    retry: whole(some({ attempts: number(draft.attempts), patience: given(draft.patience), max_wait: given(draft.maxWait) }), ['attempts', 'patience', 'max_wait']),
    hedge:
      draft.hedge === ''
        ? null
        : whole(
            {
              enabled: draft.hedge === 'on',
              ...some({ after_percentile: number(draft.afterPercentile), max_share: number(draft.maxShare), min_delay: given(draft.minDelay), samples: number(draft.samples) }),
            },
            ['after_percentile', 'max_share', 'min_delay', 'samples'],
          ),
    disconnect: draft.disconnect || null,
    drain_tokens: draft.disconnect === 'drain' ? number(draft.drainTokens) : null,
    capture: draft.capture ? true : null,
    ...(change ? {} : { enabled: draft.enabled ? null : false }),
  };
  return change ? all : Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

/** Headers that were there and are not any more have to be named as well in a change. */
export function changeOf(draft: Draft, before: Draft): Members {
  const change = definitionOf(draft, true);
  const match = members(change.match);
  const header = members(match.header);
  const gone = before.when.headers.map(({ name }) => name.toLowerCase()).filter((name) => !(name in header));
  if (match.header && gone.length > 0) change.match = { ...match, header: { ...Object.fromEntries(gone.map((name) => [name, null])), ...header } };
  return change;
}

/** What a request is like, as far as rules look at it. */
export interface Asked {
  model: string;
  protocol?: string;
  headers?: Record<string, string>;
  caller?: string;
}

export function holds(when: When, asked: Asked): boolean {
  const headers = asked.headers ?? {};
  return (
    (when.model === '' || matches(when.model, asked.model)) &&
    (when.keywords.length === 0 || contains(asked.model, when.keywords)) &&
    (when.protocol === '' || when.protocol === asked.protocol) &&
    when.headers.every(({ name, value }) => headers[name.toLowerCase()] !== undefined && matches(value, headers[name.toLowerCase()] ?? '')) &&
    (when.callers.length === 0 || (asked.caller !== undefined && when.callers.some((caller) => matches(caller, asked.caller ?? ''))))
  );
}

/** Whether there is no condition, which the gateway does not take. */
export function isEmpty(when: When): boolean {
  return when.model.trim() === '' && when.keywords.length === 0 && when.protocol === '' && when.callers.length === 0 && when.headers.every(({ name }) => name.trim() === '');
}

/** Whether a rule looks at nothing but the name of the model. */
export function byNameAlone(when: When): boolean {
  return when.protocol === '' && when.headers.length === 0 && when.callers.length === 0 && (when.model !== '' || when.keywords.length > 0);
}
