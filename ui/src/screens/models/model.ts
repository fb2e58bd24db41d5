import type { Schemas } from '../../api/client';
import { contains, matches } from '../routes/pattern';
import { byNameAlone, goesFirst, type Route, toOf, type When, whenOf } from '../routes/route';

export type Model = Schemas['Model'];
export type Price = Schemas['Price'];

export const KINDS = ['pool', 'model', 'pattern', 'listed', 'rule'] as const;

/** A row of the list: a name that the gateway knows, or a rule that looks at names alone. */
export type Entry = { kind: 'name'; model: Model } | { kind: 'rule'; route: Route; form: RuleForm };

/** The three ways to say which names a rule catches. */
export type RuleForm = 'alias' | 'glob' | 'keyword';

/** How a rule that looks at names alone says which it catches; nothing for others. */
export function formOf(when: When): RuleForm | null {
  if (!byNameAlone(when)) return null;
  if (when.model === '') return 'keyword';
  if (when.keywords.length > 0) return null;
  return when.model.includes('*') ? 'glob' : 'alias';
}

/** The text of such a rule. */
export function textOf(when: When): string {
  return when.model || when.keywords.join(', ');
}

export function rulesOf(routes: Route[], q: string, provider: string): Entry[] {
  return routes.flatMap((route): Entry[] => {
    const when = whenOf(route);
    const form = formOf(when);
    if (!form || (q !== '' && !textOf(when).toLowerCase().includes(q.toLowerCase()))) return [];
    if (provider !== '' && toOf(route) !== provider && !toOf(route).startsWith(`${provider}/`)) return [];
    return [{ kind: 'rule', route, form }];
  });
}

/** What a rule that is being made would look at. */
export function whenOfForm(form: RuleForm, text: string): When {
  const words = text.split(',').map((word) => word.trim()).filter(Boolean);
  return { model: form === 'keyword' ? '' : text.trim(), keywords: form === 'keyword' ? words : [], protocol: '', headers: [], callers: [] };
}

export type Catch = { name: string; by: 'rule' } | { name: string; by: 'declared' | 'pattern' | 'route'; what: string };

/**
 * Which of the known names a rule would catch, and what is quicker with the others that it fits: declared names and patterns of the file, unless it goes
 * first, and rules that are asked before it. A new rule stands behind those of its priority.
 */
export function catches(when: When, overrides: boolean, priority: number, models: Model[], routes: Route[]): Catch[] {
  const fits = (name: string) => (when.model === '' || matches(when.model, name)) && (when.keywords.length === 0 || contains(name, when.keywords));
  const patterns = models.filter(({ kind }) => kind === 'pattern').map(({ name }) => name);
  const before = routes.filter((route) => {
    if (route.index == null) return false;
    const other = whenOf(route);
    const first = goesFirst(other, route.overrides);
    // Rules that look at more than the name do not always hold.
    if (!byNameAlone(other)) return false;
    return first === overrides ? (route.priority ?? 1) <= priority : first;
  });
  return models
    .filter(({ kind, name }) => kind !== 'pattern' && fits(name))
    .map(({ kind, name }): Catch => {
      const firsts = before.find((route) => goesFirst(whenOf(route), route.overrides) && holdsName(whenOf(route), name));
      if (firsts) return { name, by: 'route', what: textOf(whenOf(firsts)) };
      if (overrides) return { name, by: 'rule' };
      if (kind === 'pool' || kind === 'model') return { name, by: 'declared', what: name };
      const pattern = patterns.find((pattern) => matches(pattern, name));
      if (pattern !== undefined) return { name, by: 'pattern', what: pattern };
      const other = before.find((route) => holdsName(whenOf(route), name));
      return other ? { name, by: 'route', what: textOf(whenOf(other)) } : { name, by: 'rule' };
    });
}

function holdsName(when: When, name: string): boolean {
  return (when.model === '' || matches(when.model, name)) && (when.keywords.length === 0 || contains(name, when.keywords));
}

/** The price of a target, if the shipped table has one: by the service that the provider is, which its quirk table names, or its own name. */
export function priceOf(prices: Map<string, Price>, services: Map<string, string>, target: { provider: string; model: string }): Price | undefined {
  const service = services.get(target.provider);
  return (service === undefined ? undefined : prices.get(`${service}/${target.model}`)) ?? prices.get(`${target.provider}/${target.model}`);
}

/** The usual price: the standard tier at the shortest prompts. */
export function usualRates(price: Price): Record<string, string> {
  const section = price.sections.find(({ tier, above }) => tier === 'standard' && above === 0) ?? price.sections[0];
  return section?.rates ?? {};
}

/** Targets by priority, lowest first. */
export function stages(targets: Model['targets']): Model['targets'][] {
  const by = new Map<number, Model['targets']>();
  for (const target of targets) by.set(target.priority, [...(by.get(target.priority) ?? []), target]);
  return [...by.entries()].sort(([a], [b]) => a - b).map(([, targets]) => targets);
}
