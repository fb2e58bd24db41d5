import { expect, it } from 'vitest';

import type { Schemas } from '../../../api/client';
import { kindOf } from './kind';

it('knows what the credentials of a provider usually are', () => {
  const presets = [{ name: 'antigravity', auth: 'account' }, { name: 'deepseek', auth: 'key' }, { name: 'warp', auth: 'either' }] as Schemas['Preset'][];
  const kind = (provider: object) => kindOf(provider as Schemas['Provider'], presets);
  expect(kind({ definition: { preset: 'antigravity' } })).toBe('refresh_token');
  // What the configuration file declares is told without its definition.
  expect(kind({ quirks: 'antigravity' })).toBe('refresh_token');
  expect(kind({ definition: { preset: 'warp', oauth: { token_url: 'x' } } })).toBe('refresh_token');
  expect(kind({ definition: { preset: 'warp' } })).toBe('key');
  expect(kind({ definition: { base_url: 'x', oauth: { token_url: 'x' } } })).toBe('refresh_token');
  expect([kind({ definition: { preset: 'deepseek' } }), kind({ definition: { base_url: 'x' } }), kind({})]).toEqual(['key', 'key', 'key']);
});
