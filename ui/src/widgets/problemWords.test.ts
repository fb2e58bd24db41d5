import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import words from '../locales/en.json';
import { wordsOf } from './problemWords';

const refusals = readFileSync(new URL('../../../crates/polyport-server/src/admin/refusal.rs', import.meta.url), 'utf8');

describe('words for problems', () => {
  it('are there for everything that the gateway refuses', () => {
    const table = /CODES:[^=]*= \[(.*?)\n\];/s.exec(refusals)?.[1] ?? '';
    const codes = [...table.matchAll(/\(\s*"(\w+)"/g)].map((match) => match[1] ?? '');
    expect(codes.length).toBeGreaterThan(30);
    expect(codes.filter((code) => !(code in words.problems) || !(code in words.problemTitles))).toEqual([]);
    expect(Object.keys(words.problemTitles)).toEqual(Object.keys(words.problems));
  });

  it('are there for what the page itself says', () => {
    const files = readdirSync(new URL('..', import.meta.url), { recursive: true, encoding: 'utf8' }).filter((name) => /(?<!\.test)\.tsx?$/.test(name));
    const own = files.flatMap((name) => [...readFileSync(new URL(`../${name}`, import.meta.url), 'utf8').matchAll(/new Problem\(\{ code: '(\w+)'/g)].map((match) => match[1] ?? ''));
    expect(own).toContain('offline');
    expect(own.filter((code) => !(code in words.problems))).toEqual([]);
  });

  it('are found by the code, otherwise by the status', () => {
    expect(wordsOf({ code: 'stale', status: 412 })).toEqual(['stale']);
    expect(wordsOf({ code: 'database_unavailable', status: 503 })).toEqual(['database_unavailable', 'asked_others']);
    expect(wordsOf({ code: 'unreadable', status: 504 })).toEqual(['status_502', 'unreadable']);
    expect(wordsOf({ code: 'refused', status: 429 })).toEqual(['status_429', 'refused']);
    expect(wordsOf({ code: 'server_error', status: 500 })).toEqual(['server_error', 'status_500']);
    expect(wordsOf({ code: 'offline', status: 0 })).toEqual(['offline']);
  });
});
