import { expect, it } from 'vitest';

import { colourOf, usedShare } from './standing';

it('limits are used from nothing to all, and never more', () => {
  expect([usedShare(100, 100), usedShare(100, 25), usedShare('2.50', '0.50'), usedShare(100, -5), usedShare(0, 0)]).toEqual([0, 0.75, 0.8, 1, 1]);
  expect([0.2, 0.8, 1].map(colourOf)).toEqual(['teal', 'orange', 'red']);
});
