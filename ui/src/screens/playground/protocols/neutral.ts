/** The protocols that clients speak. */
export const PROTOCOLS = ['chat', 'responses', 'messages', 'gemini'] as const;
export type ClientProtocol = (typeof PROTOCOLS)[number];

export function isProtocol(text: string): text is ClientProtocol {
  return (PROTOCOLS as readonly string[]).includes(text);
}
