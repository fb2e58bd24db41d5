import { describe, expect, it } from 'vitest';

import { step } from './search';

describe('step', () => {
  const beneath = JSON.stringify([['q', 'x']]);

  it('makes a place of its own for what is opened over a screen, and goes back from it', () => {
    expect(step({ q: 'x' }, { q: 'x', id: '1' }, undefined)).toBe('push');
    expect(step({ q: 'x', id: '1' }, { q: 'x', id: '2' }, beneath)).toBe('replace');
    expect(step({ q: 'x', id: '2' }, { q: 'x' }, beneath)).toBe('back');
  });

  it('does not go back to another state of the screen, or out of it', () => {
    expect(step({ q: 'x', id: '1' }, { q: 'y' }, beneath)).toBe('replace');
    expect(step({ q: 'x', id: '1' }, { q: 'x' }, undefined)).toBe('replace');
    expect(step({ q: 'x' }, { q: 'y' }, undefined)).toBe('replace');
  });
});
