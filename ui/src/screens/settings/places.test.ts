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
    expect(placeOf('thing', '01', 'x')).toBeNull();
  });
});
