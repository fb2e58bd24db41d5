import { expect, it } from 'vitest';

import { isRisky, left, paceText, statuses, tightest } from './quota';

it('finds what is left, and the allowance that ends first', () => {
  expect(left({ unlimited: true, remaining: 0.1 })).toBeUndefined();
  expect(left({ unlimited: false, limit: 200, used: 150 })).toBe(0.25);
  expect(left({ unlimited: false, limit: 10, used: 30 })).toBe(0);
  expect(left({ unlimited: false, remaining: 1.2 })).toBe(1);
  expect(left({ unlimited: false, limit: 0, used: 0 })).toBeUndefined();
  expect(tightest([{ unlimited: true }, { unlimited: false, remaining: 0.8, model: 'a' }, { unlimited: false, remaining: 0.3, model: 'b' }])?.bucket.model).toBe('b');
  expect(tightest(undefined)).toBeUndefined();
});

it('writes paces and statuses', () => {
  expect(paceText({ requests: 60, per_ms: 60_000 })).toBe('60/m');
  expect(paceText({ requests: 1, per_ms: 1500 })).toBe('1/1500 ms');
  expect(paceText(null)).toBeUndefined();
  expect(statuses({ 429: 9, 200: 3, 500: 1 }).map((one) => one.code)).toEqual(['200', '429', '500']);
});

it('knows the services whose terms are a risk', () => {
  expect(isRisky({ definition: { preset: 'antigravity' } })).toBe(true);
  expect(isRisky({ address: 'app.warp.dev' })).toBe(true);
  expect(isRisky({ definition: { preset: 'deepseek' }, address: 'api.deepseek.com' })).toBe(false);
  expect(isRisky(undefined)).toBe(false);
});
