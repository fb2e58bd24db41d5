import { getJson } from '../../api/list';

/** What a client program needs to come here: the same that `polyport connect` and `launch` know. */
export interface Client {
  name: string;
  title: string;
  protocol?: string | null;
  install: string[];
  variables: { name: string; value: string }[];
  unset: string[];
  command?: string | null;
  files: { path: string; format: string; content: string }[];
  needs_model: boolean;
  notes: string[];
  guide?: string | null;
}

/** Stands for the key in everything that the gateway writes for readers. */
export const PLACEHOLDER = 'YOUR_KEY';

export async function fetchClients(model: string, signal?: AbortSignal): Promise<Client[]> {
  return (await getJson<{ clients: Client[] }>('/admin/api/clients', { model }, signal)).clients;
}

/** Puts a key that the reader just made where the placeholder stands. */
export function withKey(text: string, key: string | undefined): string {
  return key ? text.replaceAll(PLACEHOLDER, key) : text;
}

/** Lines for a shell that set what a client needs and start it. */
export function shellLines(client: Client): string {
  const quoted = (value: string) => (/^[\w./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`);
  return [
    ...client.unset.map((name) => `unset ${name}`),
    ...client.variables.map(({ name, value }) => `export ${name}=${quoted(value)}`),
    ...(client.command ? [client.command] : []),
  ].join('\n');
}

/** The addresses that software asks for which is not in the list. */
export function addresses(origin: string): { protocol: 'chat' | 'responses' | 'messages' | 'gemini'; base: string; path: string }[] {
  return [
    { protocol: 'chat', base: `${origin}/v1`, path: '/chat/completions' },
    { protocol: 'responses', base: `${origin}/v1`, path: '/responses' },
    { protocol: 'messages', base: origin, path: '/v1/messages' },
    { protocol: 'gemini', base: origin, path: '/v1beta/models/MODEL:generateContent' },
  ];
}
