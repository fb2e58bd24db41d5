import { expect, it } from 'vitest';

import { Problem } from '../../api/problem';
import { deleteInParts, millis, narrowed, parts, quotaLeft, type Token } from './tokens';

const token = (more: Partial<Token>): Token => ({ id: 1, credential: 'c', provider: 'p', email: 'a@b.c', status: 'active', error_count: 0, use_count: 0, healthy: true, ...more });

it('narrows by words, state and provider', () => {
  const all = [token({ email: 'Ada@x' }), token({ id: 22, status: 'blocked' }), token({ provider: 'q' })];
  expect(narrowed(all, { q: 'ada', status: '', provider: '' })).toHaveLength(1);
  expect(narrowed(all, { q: '22', status: '', provider: '' })[0]?.status).toBe('blocked');
  expect(narrowed(all, { q: '', status: 'active', provider: 'q' })).toHaveLength(1);
});

it('tells what is left of a quota', () => {
  expect(quotaLeft(token({ quota_limit: 200, quota_used: 50 }))).toBe(0.75);
  expect(quotaLeft(token({ quota_limit: 200, quota_remaining: 300 }))).toBe(1);
  expect(quotaLeft(token({ quota_limit: 200, quota_is_unlimited: true }))).toBeUndefined();
  expect(quotaLeft(token({}))).toBeUndefined();
});

it('reads times and cuts lists', () => {
  expect(millis('1970-01-01T00:00:01Z')).toBe(1000);
  expect([millis(null), millis('never')]).toEqual([undefined, undefined]);
  expect(parts([1, 2, 3], 2)).toEqual([[1, 2], [3]]);
});

it('tells what was deleted before a part failed', async () => {
  const offline = new Problem({ code: 'offline' });
  const deletes = (calls: number) => (ids: number[]) => (calls-- > 0 ? Promise.resolve({ requested: ids.length, deleted: ids.length, missing: 0, refused: [] }) : Promise.reject(offline));
  expect(await deleteInParts([1, 2, 3], deletes(2), 2)).toMatchObject({ sum: { requested: 3, deleted: 3 }, failed: null });
  expect(await deleteInParts([1, 2, 3], deletes(1), 2)).toMatchObject({ sum: { requested: 2, deleted: 2 }, failed: offline });
  await expect(deleteInParts([1, 2, 3], deletes(0), 2)).rejects.toBe(offline);
});
