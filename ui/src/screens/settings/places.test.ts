import { describe, expect, it } from 'vitest';

import { linesWrong, placeOf } from './places';

describe('linesWrong', () => {
  it('reads lines, however they are written', () => {
    expect([...linesWrong(['/etc/polyport.yaml:12:3', 'polyport.yaml, line 7, column 1', 'the environment variable POLYPORT_X'])]).toEqual([12, 7]);
  });
});

describe('placeOf', () => {
  it('leads to what is to be mended', () => {
    expect(placeOf('credential', '01', 'deep · key')).toEqual({ to: '/credentials', search: { open: '01' } });
    expect(placeOf('provider', '01', 'deep')).toEqual({ to: '/providers', search: { open: 'deep' } });
    expect(placeOf('pool', '01', 'sonnet')).toEqual({ to: '/pools', search: { open: 'sonnet' } });
    expect(placeOf('route', '01', '')).toEqual({ to: '/routes', search: { open: '01' } });
    expect(placeOf('setting', 'retry.max_wait', 'retry.max_wait')).toEqual({ to: '/settings', search: { q: 'retry.max_wait' } });
    expect(placeOf('setting', 'notifications.webhooks', 'notifications.webhooks')).toEqual({ to: '/settings', search: { tab: 'notifications' } });
    expect(placeOf('thing', '01', 'x')).toBeNull();
  });
});
