import { expect, it } from 'vitest';

import { healthOf } from './reach';

it('is fine only where the gateway says so', () => {
  expect(healthOf(null, false)).toBe('fine');
  expect(healthOf(null, true)).toBe('draining');
  expect(healthOf({ code: 'offline', status: 0 }, false)).toBe('lost');
  expect(healthOf({ code: 'unreadable', status: 502 }, false)).toBe('lost');
  expect(healthOf({ code: 'unreadable', status: 200 }, false)).toBe('lost');
  expect(healthOf({ code: 'database_unavailable', status: 503 }, false)).toBe('ailing');
  expect(healthOf({ code: 'admin_key_needed', status: 401 }, false)).toBe('fine');
});
