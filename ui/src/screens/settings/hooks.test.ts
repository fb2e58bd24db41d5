import { describe, expect, it } from 'vitest';

import { draftOfHook, hookOf, hooksOf, mistakesOf, newSecret, withHook } from './hooks';

const chat = { name: 'chat', url: 'https://hooks.example.com/…', secret: 'wh…yz', events: ['provider.down'] };

describe('hooks', () => {
  it('are sent as they were shown unless they were changed', () => {
    expect(hookOf(draftOfHook(chat), chat)).toEqual(chat);
    expect(hookOf({ ...draftOfHook(chat), secret: ' new ', events: [], enabled: false }, chat)).toEqual({ name: 'chat', url: chat.url, secret: 'new', enabled: false });
    expect(hookOf({ ...draftOfHook(chat), noSecret: true }, chat)).not.toHaveProperty('secret');
  });

  it('are added or replaced', () => {
    const other = { name: 'other', url: 'https://example.com/' };
    expect(withHook([chat], other)).toEqual([chat, other]);
    expect(withHook([chat, other], { ...other, url: 'https://example.org/' }, 'other').map(({ url }) => url)).toEqual([chat.url, 'https://example.org/']);
  });

  it('are checked before the gateway is asked', () => {
    const draft = draftOfHook(undefined);
    expect(mistakesOf(draft, [], undefined)).toEqual({ name: 'name', url: 'url' });
    expect(mistakesOf({ ...draft, name: 'chat', url: 'https://example.com' }, [chat], undefined)).toEqual({ name: 'taken' });
    expect(mistakesOf(draftOfHook(chat), [chat], chat)).toEqual({});
    // What is masked is kept by its name.
    expect(mistakesOf({ ...draftOfHook(chat), name: 'talk' }, [chat], chat)).toEqual({ url: 'masked', secret: 'masked' });
  });

  it('that are no hooks are passed over', () => {
    expect(hooksOf(null)).toEqual([]);
    expect(hooksOf([chat, 'x', { url: 'y' }])).toEqual([chat]);
  });
});

describe('newSecret', () => {
  it('is 24 bytes as Standard Webhooks writes them', () => {
    expect(newSecret()).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
    expect(newSecret()).not.toBe(newSecret());
  });
});
