import { describe, expect, it } from 'vitest';

import { askedFor, choose, definitionOf, emptyDraft, freeName, isTyped, nameOfAddress, type Pool, type Preset, suggested, withClient } from './draft';
import { changeOf, declaredModels, extended, firstName, misnamed, planOf, remaining } from './plan';

const preset = (more: Partial<Preset>): Preset => ({
  name: 'deepseek', title: 'DeepSeek', protocol: 'chat', base_url: 'https://api.deepseek.com', needs_base_url: false, auth: 'key',
  key_variables: [], local: false, needs: [], ...more,
});

describe('the draft of a provider', () => {
  it('says only what differs from the preset', () => {
    const draft = choose(emptyDraft(), preset({}), 'deepseek');
    expect(definitionOf(draft)).toEqual({ name: 'deepseek', preset: 'deepseek' });
    expect(definitionOf({ ...draft, address: 'https://else.example' })).toMatchObject({ base_url: 'https://else.example' });
    expect(definitionOf({ ...choose(draft, null, 'x'), address: ' https://a.example/v1 ' })).toEqual({ name: 'x', base_url: 'https://a.example/v1', protocol: 'chat' });
  });

  it('asks for what accounts need only where there are accounts', () => {
    const warp = preset({ name: 'warp', auth: 'either', needs: ['oauth.token_url', 'oauth.grant'] });
    const draft = choose(emptyDraft(), warp, 'warp');
    expect(draft.kind).toBe('refresh_token');
    expect(definitionOf({ ...draft, needs: { ...draft.needs, 'oauth.token_url': 'https://t.example' } })).toMatchObject({
      oauth: { token_url: 'https://t.example', grant: 'id_token' },
    });
    expect(askedFor({ ...draft, kind: 'key' })).toEqual([]);
  });

  it('takes the OAuth client of a pasted file where nothing was typed', () => {
    const google = preset({ name: 'antigravity', auth: 'account', needs: ['oauth.token_url', 'oauth.client_id', 'oauth.client_secret'] });
    const draft = choose(emptyDraft(), google, 'google');
    const client = { client_id: 'c', client_secret: 's', token_url: 'https://t.example' };
    expect(definitionOf(withClient({ ...draft, needs: { ...draft.needs, 'oauth.client_secret': 'mine' } }, client))).toMatchObject({
      oauth: { token_url: 'https://oauth2.googleapis.com/token', client_id: 'c', client_secret: 'mine' },
    });
    // A service that has no such members gets none.
    expect(withClient(choose(draft, preset({}), 'x'), client).needs).toEqual({});
    expect(withClient(draft, undefined)).toEqual(draft);
  });

  it('finds names', () => {
    expect(freeName('a', new Set(['a', 'a-2']))).toBe('a-3');
    expect(['https://api.deepseek.com', 'https://llm.corp.example/v1', 'http://127.0.0.1:8080', 'nonsense'].map(nameOfAddress)).toEqual(['deepseek', 'example', 'local', '']);
  });

  it('suggests tiers by words that stand alone', () => {
    const places = suggested(['gpt-5-mini', 'gemini-2.5-pro', 'claude-sonnet-5', 'text-embedding-3-small', 'unknown'], emptyDraft().places, []);
    expect(places.map((place) => place.models)).toEqual([['gpt-5-mini'], ['claude-sonnet-5'], ['gemini-2.5-pro']]);
  });

  it('knows what was typed from what came with the service', () => {
    const chosen = choose(emptyDraft(), preset({ needs: ['oauth.client_id', 'location'] }), 'deepseek-2');
    expect([emptyDraft(), chosen].map((draft) => isTyped(draft, draft))).toEqual([false, false]);
    const typed = [{ name: 'mine' }, { address: 'https://else.example' }, { secrets: 'sk-1' }, { needs: { ...chosen.needs, 'oauth.client_id': 'c' } }, { needs: { ...chosen.needs, location: 'eu' } }];
    expect(typed.map((more) => isTyped({ ...chosen, ...more }, chosen))).toEqual(typed.map(() => true));
    // What was pasted stays when another service is chosen, and so does the question.
    const kept = choose({ ...chosen, secrets: 'sk-1' }, null, '');
    expect(isTyped(kept, kept)).toBe(true);
  });
});

describe('what saving takes', () => {
  const pools = [
    { name: 'quick', tier: 'tool', origin: 'database', revision: 3, definition: { targets: ['a/x', { target: 'b/y', weight: 2 }] } },
    { name: 'opus', tier: null, origin: 'database', definition: { targets: 'a/z' } },
  ] as unknown as Pool[];
  const draft = { ...choose(emptyDraft(), preset({}), 'deep'), models: ['m-mini', 'm-chat', 'm-pro'] };
  const full = { ...draft, places: [...suggested(draft.models, draft.places, pools), { id: 'new:1', name: 'my-alias', models: ['m-chat', 'gone'] }] };

  it('is one call for what is new and a change for each pool that is there', () => {
    expect(planOf(full, [{ key: 'k' }], pools)).toEqual({
      body: {
        providers: [{ name: 'deep', preset: 'deepseek', models: ['m-mini', 'm-chat', 'm-pro'] }],
        credentials: [{ key: 'k', provider: 'deep' }],
        pools: [
          { name: 'sonnet', tier: 'normal', targets: ['deep/m-chat'] },
          { name: 'my-alias', targets: ['deep/m-chat'] },
        ],
      },
      extensions: [
        { pool: 'quick', add: ['deep/m-mini'] },
        { pool: 'opus', add: ['deep/m-pro'] },
      ],
    });
  });

  it('is what was ticked or not any more where the provider is there', () => {
    expect(changeOf({ ...full, name: 'deep' }, ['m-pro', 'old'], pools)).toEqual({
      models: { provider: 'deep', add: ['m-mini', 'm-chat'], remove: ['old'] },
      body: { providers: [], credentials: [], pools: planOf(full, [], pools).body.pools },
      extensions: planOf(full, [], pools).extensions,
    });
    expect([declaredModels({ definition: { models: 'one' } }), declaredModels({ definition: { models: ['a', 'b', 'a'] } }), declaredModels({ definition: {} })]).toEqual([['one'], ['a', 'b'], []]);
  });

  it('asks for names of new pools that nobody has', () => {
    const place = (id: string, name: string, models: string[]) => ({ id, name, models });
    expect(misnamed([place('new:1', ' ', ['m']), place('new:2', '', []), place('new:3', ' opus ', ['m']), place('pool:opus', 'opus', ['m'])], pools)).toEqual({
      'new:1': 'nameMissing',
      'new:3': 'nameTaken',
    });
  });

  it('keeps the targets that are there as they are', () => {
    expect(extended(pools[0] as Pool, ['b/y', 'deep/m'])).toEqual(['a/x', { target: 'b/y', weight: 2 }, 'deep/m']);
    expect(extended(pools[1] as Pool, ['deep/m'])).toEqual(['a/z', 'deep/m']);
  });

  it('ends with a name that works', () => {
    expect(firstName(full, ['opus', 'sonnet', 'my-alias'], pools)).toBe('sonnet');
    expect(firstName(full, ['quick', 'my-alias'], pools)).toBe('quick');
    expect(firstName(full, [], pools)).toBe('deep/m-mini');
    expect(firstName(emptyDraft(), [], pools)).toBeUndefined();
  });

  it('leaves pools alone that the configuration file declares', () => {
    const fixed = [{ name: 'everyday', tier: 'normal', origin: 'file', definition: {} }] as unknown as Pool[];
    const places = suggested(draft.models, draft.places, fixed);
    expect(places.map((place) => place.models)).toEqual([['m-mini'], [], ['m-pro']]);
    // Models that came there before the pool was known go nowhere.
    const before = { ...draft, places: suggested(draft.models, draft.places, []) };
    expect(planOf(before, [], fixed).body.pools.map((pool) => pool.name)).toEqual(['haiku', 'opus']);
    expect(planOf(before, [], fixed).extensions).toEqual([]);
    expect(firstName(before, ['haiku', 'opus'], fixed)).toBe('haiku');
  });

  it('keeps what is left to be assigned, and nothing that is done', () => {
    const left = remaining(full.places, [{ pool: 'opus', add: ['deep/m-pro'] }], pools);
    expect(left.map((place) => [place.id, place.models])).toEqual([['tier:tool', []], ['tier:normal', []], ['tier:advanced', ['m-pro']]]);
  });
});
