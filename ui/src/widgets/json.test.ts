import { describe, expect, it } from 'vitest';

import { differences } from './diff';
import { type JsonMistake, lineAt, lineText, plainLines, prettyText, readJson, seenLines, writeJson } from './json';

function lines(text: string) {
  const read = readJson(text);
  if (!('lines' in read)) throw new Error(JSON.stringify(read));
  return read.lines;
}

function mistake(text: string): JsonMistake {
  const read = readJson(text);
  if (!('mistake' in read)) throw new Error(`no mistake in ${text}`);
  return read.mistake;
}

describe('readJson', () => {
  it('writes what JSON.stringify writes', () => {
    for (const value of [{}, [], 'a', -1.5e10, null, { a: [1, { b: [] }, 'x"\\\n'], c: { d: null, e: true } }, [[[]], {}]]) {
      expect(prettyText(lines(JSON.stringify(value)))).toBe(JSON.stringify(value, null, 2));
      expect(prettyText(lines(JSON.stringify(value, null, 7)))).toBe(JSON.stringify(value, null, 2));
    }
  });

  it('keeps the digits of numbers', () => {
    expect(lines('[12345678901234567890, 1.50]').map((line) => line.text)).toEqual(['[', '12345678901234567890', '1.50', ']']);
  });

  it('tells where a mistake is', () => {
    const told = (text: string) => {
      const { kind, line, column } = mistake(text);
      return `${kind} ${line}:${column}`;
    };
    expect(told('')).toBe('end 1:1');
    expect(told('{"a": 1,\n  "b" 2}')).toBe('colon 2:7');
    expect(told('{"a": 1\n "b": 2}')).toBe('comma 2:2');
    expect(told('{"a": 1,}')).toBe('name 1:9');
    expect(told("{'a': 1}")).toBe('name 1:2');
    expect(told('[1, ]')).toBe('value 1:5');
    expect(told('["a')).toBe('string 1:2');
    expect(told('["a\\x"]')).toBe('escape 1:4');
    expect(told('["a\n"]')).toBe('control 1:4');
    expect(told('[01]')).toBe('number 1:2');
    expect(told('[-]')).toBe('number 1:2');
    expect(told('[nulls]')).toBe('value 1:2');
    expect(told('{} x')).toBe('rest 1:4');
    expect(told('{"a": {"b": [1')).toBe('end 1:15');
  });

  it('agrees with JSON.parse about what is JSON', () => {
    const pieces = ['{', '}', '[', ']', ',', ':', '"a"', '1', '-', 'null', ' ', '"', '\\', '0', '.5', 'e1'];
    let seed = 7;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648);
    for (let round = 0; round < 8_000; round += 1) {
      const text = Array.from({ length: 1 + (next() % 7) }, () => pieces[next() % pieces.length]).join('');
      let parsed = true;
      try {
        JSON.parse(text);
      } catch {
        parsed = false;
      }
      expect('lines' in readJson(text), text).toBe(parsed);
    }
  });

  it('is not troubled by depth and size', () => {
    const deep = (depth: number) => lines('['.repeat(depth) + ']'.repeat(depth));
    expect(deep(20_000)[0]).toMatchObject({ end: 39_998, kind: 'open' });
    expect(deep(100_000)[0]?.end).toBeUndefined();
    const read = readJson(`[${'1,'.repeat(500)}1]`, 100);
    expect(read).toMatchObject({ left: 403 });
    expect(lines(JSON.stringify(['y"'.repeat(1_000_000)]))).toHaveLength(3);
    expect(mistake(`["${'a'.repeat(2_000_000)}`).kind).toBe('string');
    expect(lines(`["${'a\\n'.repeat(700_000)}"]`)).toHaveLength(3);
  }, 60_000);
});

describe('lines', () => {
  it('are folded with what they hold', () => {
    const all = lines('{"a": [1, 2], "b": {"c": [3]}}');
    expect(all[1]).toMatchObject({ name: '"a"', end: 4, count: 2 });
    expect(seenLines(all, new Set([1])).map((at) => lineText(all[at]!))).toEqual(['{', '"a": [', '"b": {', '"c": [', '3', ']', '}', '}']);
    expect(seenLines(all, new Set([0, 1]))).toEqual([0]);
  });

  it('are found by pointers', () => {
    const text = '{"a/b": [1, {"c": [3]}], "d": 4}';
    const all = lines(text);
    const found = (pointer: string) => lineText(all[lineAt(all, pointer)]!);
    expect(found('#/a~1b/1/c/0')).toBe('3');
    expect(found('/d')).toBe('"d": 4');
    expect(found('/a~1b/1/x/y')).toBe('{');
    expect(lineAt(all, '')).toBe(0);
    expect(text.slice(all[lineAt(all, '/d')]!.at)).toBe('"d": 4}');
  });

  it('of plain text are its lines', () => {
    expect(plainLines('a\r\nb\n').lines.map((line) => line.text)).toEqual(['a', 'b', '']);
  });

  it('of a value that cannot be written say so', () => {
    const ring: { self?: unknown } = {};
    ring.self = ring;
    expect(writeJson(ring)).toContain('TypeError');
    expect(writeJson(undefined)).toBe('');
  });
});

describe('differences', () => {
  const told = (a: string, b: string, most?: number) => {
    const { before, after } = differences([...a], [...b], most);
    return [[...before].map((at) => a[at]).join(''), [...after].map((at) => b[at]).join('')];
  };

  it('finds what one has and the other lacks', () => {
    expect(told('abcd', 'abcd')).toEqual(['', '']);
    expect(told('', 'ab')).toEqual(['', 'ab']);
    expect(told('abc', '')).toEqual(['abc', '']);
    expect(told('abcdef', 'abXdef')).toEqual(['c', 'X']);
    expect(told('abcabba', 'cbabac')).toEqual(['abb', 'bc']);
    expect(told('xaxbxc', 'abc')).toEqual(['xxx', '']);
  });

  it('what is left after both is the same', () => {
    let seed = 3;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648);
    const text = () => Array.from({ length: next() % 30 }, () => 'abcd'[(next() >> 8) % 4]).join('');
    for (let round = 0; round < 800; round += 1) {
      const [a, b] = [text(), text()];
      const { before, after } = differences([...a], [...b]);
      expect([...a].filter((_, at) => !before.has(at)).join('')).toBe([...b].filter((_, at) => !after.has(at)).join(''));
    }
  });

  it('goes by what is in both where too much differs', () => {
    expect(told('abcdefgh', 'hgfedcXa', 2)).toEqual(['b', 'X']);
  });
});
