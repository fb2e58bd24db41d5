import type { Schemas } from '../../../api/client';
import type { LineKind } from './parse';

/** What the credentials of a provider usually are: of a service that takes accounts alone, or of one with an OAuth client, refresh tokens. */
export function kindOf(provider: Schemas['Provider'], presets: Schemas['Preset'][]): LineKind {
  const name = provider.definition?.preset ?? provider.quirks;
  const auth = presets.find((preset) => preset.name === name)?.auth;
  return auth === 'account' || (auth !== 'key' && provider.definition?.oauth != null) ? 'refresh_token' : 'key';
}
