/** A name in which each `*` stands for any run of characters, as the gateway reads it. */
export function matches(pattern: string, name: string): boolean {
  return stars(pattern, name) !== null;
}

/** What each `*` stands for in a name, or nothing if it does not fit. Earlier ones take as little as possible. */
export function stars(pattern: string, name: string): string[] | null {
  const [head = '', ...pieces] = pattern.split('*');
  if (!name.startsWith(head)) return null;
  let rest = name.slice(head.length);
  const last = pieces.pop();
  if (last === undefined) return rest === '' ? [] : null;
  const found: string[] = [];
  for (const piece of pieces) {
    const at = rest.indexOf(piece);
    if (at < 0) return null;
    found.push(rest.slice(0, at));
    rest = rest.slice(at + piece.length);
  }
  if (!rest.endsWith(last)) return null;
  return [...found, rest.slice(0, rest.length - last.length)];
}

/** Whether a name holds one of these texts, in any case. */
export function contains(name: string, texts: string[]): boolean {
  const lower = name.toLowerCase();
  return texts.some((text) => text !== '' && lower.includes(text.toLowerCase()));
}

/** A name that a pattern and keywords fit, to try a rule with. */
export function sample(model: string, keywords: string[], known: string[]): string {
  const fits = (name: string) => (model === '' || matches(model, name)) && (keywords.length === 0 || contains(name, keywords));
  const found = known.find(fits);
  if (found !== undefined) return found;
  const word = keywords[0] ?? '';
  if (model === '') return word || 'some-model';
  const made = model.replace('*', word || 'example').replaceAll('*', '');
  return made || 'some-model';
}
