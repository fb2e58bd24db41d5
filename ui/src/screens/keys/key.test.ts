import { describe, expect, it } from 'vitest';

import { draft, localTime, stateOf, type Key } from './key';

const key = { id: 'k', revision: 1, created_at: 0, updated_at: 0, name: 'laptop', enabled: true, models: [], pools: [], protocols: [], networks: [], limits: [], capture: false, masked: 'pp-…', expired: false } as Key;

describe('keys', () => {
  it('keep their time to the minute, in the zone of the reader', () => {
    const at = new Date(2027, 0, 31, 12, 5).getTime();
    expect(localTime(at)).toBe('2027-01-31T12:05');
    expect(new Date(localTime(at)).getTime()).toBe(at);
    expect(draft({ ...key, expires_at: at }).expires).toBe('2027-01-31T12:05');
    expect(draft(key).expires).toBe('');
  });

  it('are expired before they are switched off', () => {
    expect([stateOf(key), stateOf({ ...key, enabled: false }), stateOf({ ...key, enabled: false, expired: true })]).toEqual(['ready', 'disabled', 'expired']);
  });
});
