import { describe, expect, it } from 'vitest';

import { batchesOf, eachOf } from './batches';
import { joined, masked, parse } from './parse';

const entries = async (text: string, kind: 'key' | 'refresh_token' = 'key') => (await parse(text, kind)).items.map((item) => item.entry ?? item.wrong);

describe('parse', () => {
  it('takes a secret in each line, whatever it was copied out of', async () => {
    const { items, form } = await parse('sk-one\r\n\r\n  "sk-two",\n\'sk-three\'\n', 'key');
    expect(form).toBe('lines');
    expect(items).toEqual([
      { at: 1, entry: { key: 'sk-one' } },
      { at: 3, entry: { key: 'sk-two' } },
      { at: 4, entry: { key: 'sk-three' } },
    ]);
  });

  it('takes lists, objects with lists, and objects in lines', async () => {
    expect(await entries('["a", {"key": "b", "weight": 2, "else": 1}, 7]')).toEqual([{ key: 'a' }, { key: 'b', weight: 2 }, 'shape']);
    expect(await entries('{"accounts": [{"refresh_token": "r", "email": "a@b.c"}]}')).toEqual([{ refresh_token: 'r', name: 'a@b.c' }]);
    expect(await entries('{"refresh_token": "r1"}\n{"refresh_token": "r2"}\n{broken')).toEqual([{ refresh_token: 'r1' }, { refresh_token: 'r2' }, 'json']);
    expect(await entries('{"provider": "p", "tokens": ["x"]}', 'refresh_token')).toEqual([{ provider: 'p', refresh_token: 'x' }]);
  });

  it('reads tables by the names of their columns', async () => {
    expect(await entries('Email,Refresh Token,weight,note\na@b.c,"r,1",2,x\nd@e.f,r2,,\nbroken,row\nr3')).toEqual([
      { name: 'a@b.c', refresh_token: 'r,1', weight: 2 }, { name: 'd@e.f', refresh_token: 'r2' }, 'shape', { key: 'r3' },
    ]);
    expect(await entries('name\tapi_key\tenabled\nfirst\tsk-1\tfalse')).toEqual([{ name: 'first', key: 'sk-1', enabled: false }]);
    expect(await entries('key\nsk-1\nsk-2', 'refresh_token')).toEqual([{ key: 'sk-1' }, { key: 'sk-2' }]);
    // Words of columns within the table are what stands there, and so are the signs that separate cells elsewhere.
    expect(await entries('name,type,key\na,api_key,sk-1\nb,api_key,"sk;2,3"\nkey,key,sk-4')).toEqual([{ name: 'a', key: 'sk-1' }, { name: 'b', key: 'sk;2,3' }, { name: 'key', key: 'sk-4' }]);
    expect(await entries('key,name\nsk-1,a\nrefresh_token;email\nr;b@c.d')).toEqual([{ key: 'sk-1', name: 'a' }, { refresh_token: 'r', name: 'b@c.d' }]);
    expect(await entries('key,weight\nsk-1,heavy')).toEqual([{ key: 'sk-1', weight: 'heavy' }]);
    // What has commas and is no table stays a secret.
    expect(await entries('sk-1,5\nsk-2,7')).toEqual([{ key: 'sk-1,5' }, { key: 'sk-2,7' }]);
  });

  it('knows the files of other programs', async () => {
    const { items, client } = await parse(
      '{"oauth_config": {"client_id": "c", "client_secret": "s"}, "projects": [{"project_id": "p", "refresh_token": "r", "access_token": null}]}',
      'refresh_token',
    );
    expect(client).toEqual({ client_id: 'c', client_secret: 's' });
    expect(items).toEqual([{ at: 1, entry: { refresh_token: 'r', project: 'p' } }]);
    expect((await parse('{"refresh_token": "r", "client_id": "c", "client_secret": "s", "token_url": "https://t.example"}', 'key')).client).toEqual({
      client_id: 'c', client_secret: 's', token_url: 'https://t.example',
    });
    expect((await parse('{"accounts": [{"refresh_token": "r"}]}', 'key')).client).toBeUndefined();
    expect(await entries('{"access_token": "x", "refresh_token": "r", "expiry_date": 1}')).toEqual([{ refresh_token: 'r' }]);
    const [service] = await entries('{"type": "service_account", "client_email": "a@p.iam", "private_key": "k"}');
    expect(service).toEqual({ name: 'a@p.iam', key_file: '{"type":"service_account","client_email":"a@p.iam","private_key":"k"}' });
  });

  it('joins files, each in its own form', async () => {
    const text = joined(['{\n "oauth_config": {"client_id": "c"},\n "projects": [{"refresh_token": "r1"}, {"refresh_token": "r2"}]}', '{"refresh_token":"r3"}\n', 'r4\nr5\n']);
    const { items, client } = await parse(text, 'refresh_token');
    expect(client).toEqual({ client_id: 'c' });
    expect(items.map((item) => [item.at, item.entry?.refresh_token])).toEqual([[1, 'r1'], [1, 'r2'], [2, 'r3'], [3, 'r4'], [4, 'r5']]);
  });

  it('reads a hundred thousand lines in parts, and stops when told', async () => {
    const text = Array.from({ length: 100_000 }, (_, at) => `sk-${at}`).join('\n');
    const seen: number[] = [];
    expect((await parse(text, 'key', undefined, (lines) => seen.push(lines))).items).toHaveLength(100_000);
    expect(seen.length).toBeGreaterThan(10);
    const stop = new AbortController();
    await expect(parse(text, 'key', stop.signal, () => stop.abort())).rejects.toThrow();
  });

  it('shows the ends of long secrets only', () => {
    expect(masked({ key: 'sk-0123456789abcdef' })).toBe('sk-0…cdef');
    expect(masked({ key: 'short' })).toBe('…');
    expect(masked({ key_file: '{"private_key": "x"}', name: 'a@b' })).toBe('a@b');
  });
});

describe('batchesOf', () => {
  it('cuts by number and by size, and leaves out what cannot be sent', () => {
    const items = Array.from({ length: 7 }, (_, at) => ({ at, entry: { key: 'x'.repeat(30) } }));
    expect(batchesOf([...items, { at: 9, wrong: 'shape' as const }], 3, 1e6).map((batch) => batch.length)).toEqual([3, 3, 1]);
    expect(batchesOf(items, 100, 120).map((batch) => batch.length)).toEqual([2, 2, 2, 1]);
  });
});

describe('eachOf', () => {
  it('keeps to its bound and stops when told', async () => {
    let now = 0;
    let most = 0;
    const done: number[] = [];
    const stop = new AbortController();
    await eachOf([...Array(20).keys()], 3, stop.signal, async (one) => {
      now += 1;
      most = Math.max(most, now);
      await Promise.resolve();
      done.push(one);
      now -= 1;
      if (done.length === 10) stop.abort();
    });
    expect(most).toBe(3);
    expect(done.length).toBeLessThan(14);
  });
});
