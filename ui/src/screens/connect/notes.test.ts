import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { CHINESE, noteIn } from './notes';

const clients = readFileSync(new URL('../../../../crates/polyport-clients/src/clients.toml', import.meta.url), 'utf8');

describe('noteIn', () => {
  it('knows every step and remark of the programs that the gateway knows', () => {
    const lists = [...clients.matchAll(/^(?:steps|remarks) = \[([\s\S]*?)\]$/gm)].map(([, list]) => list ?? '');
    const notes = lists.flatMap((list) => [...list.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([text]) => JSON.parse(text) as string));
    expect(notes.length).toBeGreaterThan(20);
    expect(notes.filter((note) => !(note in CHINESE))).toEqual([]);
  });

  it('keeps what stands in the gaps, and what it does not know', () => {
    expect(noteIn('zh', 'Base URL: http://127.0.0.1:8080/v1')).toBe('Base URL：http://127.0.0.1:8080/v1');
    expect(noteIn('zh', 'Add the model $& to the list.')).toBe('将模型 $& 加入列表。');
    expect(noteIn('zh', 'Something new.')).toBe('Something new.');
    expect(noteIn('en', 'Model: gpt')).toBe('Model: gpt');
  });
});
