import { describe, expect, it } from 'vitest';

import { amountProblem, bodyOf, changed, draftOf, NO_RULES } from './rules';

describe('rules', () => {
  it('come back as they went out', () => {
    const rules = {
      models: ['gpt-*'], pools: [], protocols: ['chat'], networks: ['10.0.0.0/8'], capture: true,
      limits: [
        { what: 'requests' as const, window: 'minute' as const, amount: 60 },
        { what: 'money' as const, window: 'month' as const, amount: '25.50', models: 'claude-*' },
        { what: 'concurrency' as const, amount: 4 },
      ],
    };
    expect(bodyOf(draftOf(rules))).toEqual(rules);
    expect(bodyOf(NO_RULES).limits).toEqual([]);
  });

  it('keep the digits of money', () => {
    const limits = [{ what: 'money' as const, window: 'total' as const, amount: '0.1234567890123456789', models: '' }];
    expect(bodyOf({ ...NO_RULES, limits }).limits[0]?.amount).toBe('0.1234567890123456789');
  });

  it('say what is wrong with an amount', () => {
    expect(['', 'x', '-1', '1.5', '1e99', '99999999999999999999', '10'].map((text) => amountProblem('tokens', text))).toEqual([
      'missing', 'number', 'number', 'whole', 'number', 'large', undefined,
    ]);
    expect(amountProblem('money', '1.5')).toBeUndefined();
  });

  it('send what was changed alone', () => {
    expect(changed({ a: 1, b: ['x'], c: null }, { a: 1, b: ['x', 'y'], c: null })).toEqual({ b: ['x', 'y'] });
  });
});
