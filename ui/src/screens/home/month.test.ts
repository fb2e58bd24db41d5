import { expect, it } from 'vitest';

import { monthStart } from './month';

it('months begin in UTC', () => {
  expect(monthStart(new Date('2026-03-31T23:59:59-05:00'))).toBe('2026-04-01T00:00:00.000Z');
});
