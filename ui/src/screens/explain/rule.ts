/** The rule that found a model's targets, as the gateway tells it. */
export type Rule =
  | { kind: 'model' | 'pool' | 'pattern' | 'claimed'; name: string }
  | { kind: 'word'; name: string; word: string }
  | { kind: 'route'; index: number }
  | { kind: 'direct' | 'listed' | 'default' }
  | { kind: 'other'; text: string };

const FORMS: [RegExp, (found: string[]) => Rule][] = [
  [/^`models` lists `(.+)`$/s, ([name = '']) => ({ kind: 'model', name })],
  [/^`(.+)` is a pool$/s, ([name = '']) => ({ kind: 'pool', name })],
  [/^names with `(.+)` reach the pool `(.+)`$/s, ([word = '', name = '']) => ({ kind: 'word', word, name })],
  [/^the pattern `(.+)` of `models` fits$/s, ([name = '']) => ({ kind: 'pattern', name })],
  [/^`routes\[(\d+)\]` fits$/, ([index]) => ({ kind: 'route', index: Number(index) })],
  [/^names like `(.+)` are this provider's$/s, ([name = '']) => ({ kind: 'claimed', name })],
  [/^the name is `provider\/model`$/, () => ({ kind: 'direct' })],
  [/^a provider lists the model$/, () => ({ kind: 'listed' })],
  [/^no rule knows the name/, () => ({ kind: 'default' })],
];

/** Reads the gateway's sentence, so that it can be said in the reader's language and lead to what it names. */
export function readRule(text: string): Rule {
  for (const [form, make] of FORMS) {
    const found = form.exec(text);
    if (found) return make(found.slice(1));
  }
  return { kind: 'other', text };
}

/** The key of a sentence of the gateway (`ahead of its pace` → `ahead_of_its_pace`), for words of the page's own. */
export function wordKey(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^_|_$/g, '');
}
