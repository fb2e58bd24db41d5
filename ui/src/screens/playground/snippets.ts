import { parse, dict } from './protocols/json';
import { geminiPath } from './protocols/gemini';
import type { ClientProtocol } from './protocols/neutral';

export const LANGUAGES = ['curl', 'python', 'node'] as const;
export type SnippetLanguage = (typeof LANGUAGES)[number];

/** What stands where the reader's key belongs. */
export const KEY = 'YOUR_KEY';

interface Asked {
  protocol: ClientProtocol;
  /** Where the gateway is reached: `http://host:port`. */
  address: string;
  path: string;
  model: string;
  stream: boolean;
  body: Record<string, unknown>;
}

/** Program text that makes the same request. */
export function snippet(language: SnippetLanguage, asked: Asked): string {
  const short = { ...asked, body: dict(shorten(asked.body)) };
  if (language === 'curl') return curl(short);
  return language === 'python' ? python(short) : node(short);
}

/** Images are too long to be read: what has to stand there is named. */
export function shorten(value: unknown): unknown {
  if (typeof value === 'string') {
    if (value.length < 2000) return value;
    const head = /^data:[\w/.+-]+;base64,/.exec(value)?.[0];
    if (head) return `${head}BASE64_OF_YOUR_IMAGE`;
    return /^[A-Za-z0-9+/=_-]+$/.test(value) ? 'BASE64_OF_YOUR_IMAGE' : value;
  }
  if (Array.isArray(value)) return value.map(shorten);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shorten(one)]));
  return value;
}

const HEADER: Record<ClientProtocol, [string, string][]> = {
  chat: [['authorization', `Bearer ${KEY}`]],
  responses: [['authorization', `Bearer ${KEY}`]],
  messages: [['x-api-key', KEY], ['anthropic-version', '2023-06-01']],
  gemini: [['x-goog-api-key', KEY]],
};

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function curl({ protocol, address, path, stream, body }: Asked): string {
  const headers = [['content-type', 'application/json'], ...HEADER[protocol]].map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)} \\`);
  // JSON has no raw line ends within texts, so the mark of the end cannot stand in it.
  return [`curl ${stream ? '-N ' : ''}${quoted(address + path)} \\`, ...headers, "  --data-binary @- <<'JSON'", JSON.stringify(body, null, 2), 'JSON'].join('\n');
}

/** A JSON value as Python writes it. */
export function pythonValue(value: unknown, indent = 0): string {
  const inner = ' '.repeat(indent + 4);
  const outer = ' '.repeat(indent);
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string' || typeof value === 'number') return pythonText(value);
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[\n${value.map((one) => `${inner}${pythonValue(one, indent + 4)},`).join('\n')}\n${outer}]`;
  const entries = Object.entries(value);
  if (entries.length === 0) return '{}';
  return `{\n${entries.map(([name, one]) => `${inner}${pythonText(name)}: ${pythonValue(one, indent + 4)},`).join('\n')}\n${outer}}`;
}

/** JSON's escapes are Python's, but for halves of surrogate pairs and DEL, which JSON may leave as they are. */
function pythonText(value: string | number): string {
  return JSON.stringify(value);
}

function keywords(body: Record<string, unknown>, indent: number): string {
  const pad = ' '.repeat(indent);
  return Object.entries(body).map(([name, value]) => `${pad}${name}=${pythonValue(value, indent)},`).join('\n');
}

function python({ protocol, address, path, body, stream }: Asked): string {
  if (protocol === 'gemini') {
    const read = stream
      ? `for line in response.iter_lines(decode_unicode=True):\n    if line.startswith("data: "):\n        print(line[6:])`
      : 'print(response.json())';
    return `import requests\n\nresponse = requests.post(\n    ${pythonValue(address + path)},\n    headers={"x-goog-api-key": "${KEY}"},\n    json=${pythonValue(body, 4)},\n    stream=${stream ? 'True' : 'False'},\n)\nresponse.raise_for_status()\n${read}\n`;
  }
  const [library, client, base, call] = {
    chat: ['openai', 'OpenAI', `${address}/v1`, 'chat.completions.create'],
    responses: ['openai', 'OpenAI', `${address}/v1`, 'responses.create'],
    messages: ['anthropic', 'Anthropic', address, 'messages.create'],
  }[protocol] as [string, string, string, string];
  const made = `from ${library} import ${client}\n\nclient = ${client}(base_url=${pythonValue(base)}, api_key="${KEY}")\n`;
  const asked = `client.${call}(\n${keywords(body, 4)}\n)`;
  return stream ? `${made}stream = ${asked}\nfor event in stream:\n    print(event)\n` : `${made}answer = ${asked}\nprint(answer)\n`;
}

function node({ protocol, address, path, model, body, stream }: Asked): string {
  const json = JSON.stringify(body, null, 2);
  if (protocol === 'gemini') {
    const url = address + (path || geminiPath(model, stream));
    const read = stream ? 'for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) process.stdout.write(chunk);' : 'console.log(await response.json());';
    return `const response = await fetch(${JSON.stringify(url)}, {\n  method: 'POST',\n  headers: { 'content-type': 'application/json', 'x-goog-api-key': '${KEY}' },\n  body: JSON.stringify(${indented(json, 2)}),\n});\nif (!response.ok) throw new Error(await response.text());\n${read}\n`;
  }
  const [library, client, base, call] = {
    chat: ['openai', 'OpenAI', `${address}/v1`, 'chat.completions.create'],
    responses: ['openai', 'OpenAI', `${address}/v1`, 'responses.create'],
    messages: ['@anthropic-ai/sdk', 'Anthropic', address, 'messages.create'],
  }[protocol] as [string, string, string, string];
  const made = `import ${client} from '${library}';\n\nconst client = new ${client}({ baseURL: ${JSON.stringify(base)}, apiKey: '${KEY}' });\n`;
  const asked = `await client.${call}(${json})`;
  return stream ? `${made}const stream = ${asked};\nfor await (const event of stream) console.log(event);\n` : `${made}console.log(${asked});\n`;
}

function indented(text: string, by: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(by)}`);
}

/** The body of a request that is written by hand, as far as it is JSON. */
export function bodyOf(text: string): Record<string, unknown> {
  return dict(parse(text));
}
