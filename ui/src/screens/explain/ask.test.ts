import { describe, expect, it } from 'vitest';

import { detectProtocol, example, PROTOCOLS, readBody, readHeaders, toQuestion } from './ask';
import { readRule, wordKey } from './rule';

const FORM = { model: '', protocol: '', caller: '', headers: '', body: '', stream: false };

describe('a pasted body', () => {
  it('tells its protocol', () => {
    for (const protocol of PROTOCOLS) expect(detectProtocol(JSON.parse(example(protocol, 'm')))).toBe(protocol);
    expect(detectProtocol({ messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] })).toBe('messages');
    expect(detectProtocol({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] })).toBe('chat');
    expect(detectProtocol({ messages: 'absurd', tools: 7 })).toBe('chat');
    expect(detectProtocol({ messages: [], tools: [{ name: 'a', input_schema: {} }] })).toBe('messages');
    expect(detectProtocol({})).toBe('chat');
  });

  it('is an object or is told why not', () => {
    expect(readBody('  ')).toEqual({ kind: 'none' });
    expect(readBody('[1]')).toEqual({ kind: 'noObject' });
    expect(readBody('{\n  "a" 1}')).toMatchObject({ kind: 'mistake', mistake: { kind: 'colon', line: 2, column: 7 } });
    expect(readBody('{"model": 3}')).toMatchObject({ kind: 'body', model: '' });
    expect(readBody(`{"a": ${'['.repeat(5000)}${']'.repeat(5000)}}`).kind).toBe('body');
  });
});

describe('a question', () => {
  it('has the model of the form, or else of the body', () => {
    expect(toQuestion(FORM)).toBeNull();
    expect(toQuestion({ ...FORM, model: ' m ' })).toEqual({ model: 'm', protocol: 'chat' });
    expect(toQuestion({ ...FORM, body: '{"model": "b", "input": "x"}' })).toEqual({ model: 'b', protocol: 'responses', body: { model: 'b', input: 'x' } });
    expect(toQuestion({ ...FORM, model: 'm', protocol: 'chat', body: '{"model": "b"}' })).toEqual({ model: 'm', protocol: 'chat', body: { model: 'm' } });
    expect(toQuestion({ ...FORM, model: 'm', body: '{"contents": []}' })?.body).toEqual({ contents: [] });
  });

  it('says that Gemini streams, and of others nothing', () => {
    expect(toQuestion({ ...FORM, model: 'm', protocol: 'gemini', stream: true })).toEqual({ model: 'm', protocol: 'gemini', stream: true });
    expect(toQuestion({ ...FORM, model: 'm', stream: true })).toEqual({ model: 'm', protocol: 'chat' });
  });

  it('is not asked with a body or headers that are none', () => {
    expect(toQuestion({ ...FORM, model: 'm', body: '{' })).toBeNull();
    expect(toQuestion({ ...FORM, model: 'm', headers: 'no colon' })).toBeNull();
    expect(toQuestion({ ...FORM, model: 'm', headers: 'X-Team: a:b\n', caller: ' ci ' })).toEqual({ model: 'm', protocol: 'chat', headers: { 'x-team': 'a:b' }, caller: 'ci' });
  });

  it('has headers by line', () => {
    expect(readHeaders('a: 1\n\n: 2\nb c: 3')).toEqual({ headers: { a: '1' }, wrong: [3, 4] });
  });
});

describe('the gateway’s sentences', () => {
  it('are understood', () => {
    expect(readRule('`models` lists `a`')).toEqual({ kind: 'model', name: 'a' });
    expect(readRule('names with `haiku` reach the pool `small`')).toEqual({ kind: 'word', word: 'haiku', name: 'small' });
    expect(readRule('`routes[12]` fits')).toEqual({ kind: 'route', index: 12 });
    expect(readRule("names like `claude-*` are this provider's")).toEqual({ kind: 'claimed', name: 'claude-*' });
    expect(readRule('no rule knows the name: the default provider gets it')).toEqual({ kind: 'default' });
    expect(readRule('something new')).toEqual({ kind: 'other', text: 'something new' });
    expect(wordKey('its key is missing')).toBe('its_key_is_missing');
  });
});
