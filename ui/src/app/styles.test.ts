import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

const sources = import.meta.glob<string>('../**/*.tsx', { eager: true, query: '?raw', import: 'default' });
const sheet = (name: string) => readFileSync(new URL(`${name}.css`, `file://${import.meta.dirname}/`), 'utf8');

const has = new Set(readdirSync('node_modules/@mantine/core/styles').map((name) => name.replace(/\.css$/, '')));
const listed = (text: string | undefined) => new Set([...(text ?? '').matchAll(/styles\/(\w+)\.css/g)].map((match) => match[1] ?? ''));
const used = (text: string) =>
  [...text.matchAll(/import \{([^}]*)\} from '@mantine\/core'/g)].flatMap((match) => (match[1] ?? '').split(',').map((name) => name.trim().replace(/^type .*/, '').split(' ')[0] ?? ''));

describe('styles of components', () => {
  const first = listed(sheet('first'));
  const all = new Set([...first, ...listed(sheet('more'))]);
  const missing = (files: [string, string][], from: Set<string>) =>
    files.flatMap(([path, text]) => used(text).filter((name) => has.has(name) && !from.has(name)).map((name) => `${path}: ${name}`));

  it('are there for every component in use', () => {
    expect(missing(Object.entries(sources), all)).toEqual([]);
  });

  it('come with the first load for what is shown first', () => {
    const shown = Object.entries(sources).filter(([path]) => /^\.\.\/(app|screens\/(dashboard|sign-in))\/|^\.\//.test(path));
    expect(shown.length).toBeGreaterThan(10);
    expect(missing(shown, first)).toEqual([]);
  });
});
