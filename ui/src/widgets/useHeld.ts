import { useState } from 'react';

/**
 * What is open stays open when it is gone from its list: somebody else deleted it, and what was typed must not go with it. `found` is what the list has
 * under the name that the address gives.
 */
export function useHeld<T>(name: string, found: T | undefined): { held: T | undefined; gone: boolean } {
  const [last, setLast] = useState({ name, found });
  if (found !== undefined && (last.name !== name || last.found !== found)) setLast({ name, found });
  const held = found ?? (last.name === name ? last.found : undefined);
  return { held, gone: found === undefined && held !== undefined };
}
