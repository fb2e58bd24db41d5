import { describe, expect, it } from 'vitest';

const files = import.meta.glob<Record<string, unknown>>(['../locales/*.json', '../screens/*/{en,zh}.json'], { eager: true, import: 'default' });
const sources = import.meta.glob<string>('../**/*.{ts,tsx}', { eager: true, query: '?raw', import: 'default' });

/** `a.b` of all words; what counts differently by number in one language only is one key. */
function keys(words: unknown, prefix = ''): string[] {
  if (typeof words !== 'object' || words === null) return [prefix.replace(/_(one|other|zero|two|few|many)$/, '')];
  return Object.entries(words).flatMap(([name, value]) => keys(value, prefix ? `${prefix}.${name}` : name));
}

const sorted = (words: unknown) => [...new Set(keys(words))].sort();

describe('words', () => {
  const english = Object.keys(files).filter((path) => path.endsWith('/en.json'));

  it.each(english)('%s has the same keys in Chinese', (path) => {
    expect(sorted(files[path.replace(/en\.json$/, 'zh.json')])).toEqual(sorted(files[path]));
  });

  it.each(english)('%s has no empty word and no mark that one language lacks', (path) => {
    const marks = (text: string) => [...text.matchAll(/\{\{\s*(\w+)/g)].map((match) => match[1]).sort().join();
    const walk = (one: unknown, other: unknown) => {
      if (typeof one === 'string') {
        expect(one.trim()).not.toBe('');
        if (typeof other === 'string') expect(marks(other), one).toBe(marks(one));
      } else if (typeof one === 'object' && one !== null) {
        for (const [name, value] of Object.entries(one)) walk(value, (other as Record<string, unknown> | undefined)?.[name]);
      }
    };
    walk(files[path], files[path.replace(/en\.json$/, 'zh.json')]);
  });

  it('every word that a screen asks for by a plain name is there', () => {
    const words = (namespace: string) => new Set(keys(files[namespace === 'common' ? '../locales/en.json' : `../screens/${namespace}/en.json`] ?? {}));
    const missing: string[] = [];
    for (const [path, text] of Object.entries(sources)) {
      const screen = /screens\/([^/]+)\//.exec(path)?.[1];
      const own = screen !== undefined && files[`../screens/${screen}/en.json`] ? screen : 'common';
      for (const [call, namespace = own, key = ''] of text.matchAll(/\bt\('(?:([a-z][\w-]*):)?([\w.-]+)'/g)) {
        if (!words(namespace).has(key)) missing.push(`${path}: ${call}`);
      }
    }
    expect(missing).toEqual([]);
  });
});
