import type { Schemas } from '../../api/client';
import { type JsonMistake, readJson } from '../../widgets/json';

export const PROTOCOLS = ['chat', 'responses', 'messages', 'gemini'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

type Members = Record<string, unknown>;

/** What a pasted body is: an object with its protocol and model, or why it is none. */
export type Pasted =
  | { kind: 'none' }
  | { kind: 'mistake'; mistake: JsonMistake }
  | { kind: 'noObject' }
  | { kind: 'body'; body: Members; protocol: Protocol; model: string };

export function readBody(text: string): Pasted {
  if (text.trim() === '') return { kind: 'none' };
  const read = readJson(text, 0);
  if ('mistake' in read) return { kind: 'mistake', mistake: read.mistake };
  const body: unknown = JSON.parse(text);
  if (!isObject(body)) return { kind: 'noObject' };
  return { kind: 'body', body, protocol: detectProtocol(body), model: typeof body.model === 'string' ? body.model : '' };
}

/** Which protocol a body is written in, by members that only one of them has. */
export function detectProtocol(body: Members): Protocol {
  if ('contents' in body || 'generationConfig' in body || 'systemInstruction' in body) return 'gemini';
  if (!('messages' in body)) return ['input', 'instructions', 'previous_response_id', 'prompt'].some((name) => name in body) ? 'responses' : 'chat';
  const own = ['system', 'stop_sequences', 'thinking', 'anthropic_version', 'anthropic_beta', 'top_k', 'mcp_servers'];
  if (own.some((name) => name in body)) return 'messages';
  const tools = list(body.tools).filter(isObject);
  if (tools.some((tool) => 'input_schema' in tool)) return 'messages';
  if (tools.some((tool) => 'function' in tool)) return 'chat';
  const parts = list(body.messages).flatMap((message) => (isObject(message) ? list(message.content) : [])).filter(isObject);
  if (parts.some((part) => ['tool_use', 'tool_result', 'image', 'document', 'thinking'].includes(String(part.type)) || 'cache_control' in part)) return 'messages';
  return 'chat';
}

/** Headers, one a line: `name: value`; lines that are none are told by their numbers. */
export function readHeaders(text: string): { headers: Record<string, string>; wrong: number[] } {
  const headers: Record<string, string> = {};
  const wrong: number[] = [];
  text.split('\n').forEach((line, at) => {
    if (line.trim() === '') return;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim();
    if (colon < 1 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) wrong.push(at + 1);
    else headers[name.toLowerCase()] = line.slice(colon + 1).trim();
  });
  return { headers, wrong };
}

export interface Form {
  model: string;
  /** Empty: as the body is written. */
  protocol: string;
  caller: string;
  headers: string;
  body: string;
  /** Gemini: the answer streams, which clients say in the address. */
  stream: boolean;
}

/** What is asked, or nothing where the form is not fit for it. The model of the form wins over the one of the body, as it would in a request. */
export function toQuestion(form: Form, pasted = readBody(form.body)): Schemas['Question'] | null {
  const { headers, wrong } = readHeaders(form.headers);
  if (pasted.kind === 'mistake' || pasted.kind === 'noObject' || wrong.length > 0) return null;
  const protocol = (form.protocol || (pasted.kind === 'body' ? pasted.protocol : 'chat')) as Protocol;
  const model = form.model.trim() || (pasted.kind === 'body' ? pasted.model : '');
  if (model === '') return null;
  const question: Schemas['Question'] = { model, protocol };
  if (Object.keys(headers).length > 0) question.headers = headers;
  if (form.caller.trim()) question.caller = form.caller.trim();
  if (protocol === 'gemini' && form.stream) question.stream = true;
  // Gemini names its model in the address.
  if (pasted.kind === 'body') question.body = protocol === 'gemini' ? pasted.body : { ...pasted.body, model };
  return question;
}

/** A small request of each protocol, to begin with. */
export function example(protocol: Protocol, model: string): string {
  const bodies: Record<Protocol, Members> = {
    chat: {
      model,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'What is a harbour?' },
      ],
      temperature: 0.3,
      seed: 7,
      stop: ['###'],
    },
    responses: { model, instructions: 'Be brief.', input: 'What is a harbour?', max_output_tokens: 200, reasoning: { effort: 'low' } },
    messages: { model, max_tokens: 200, system: 'Be brief.', messages: [{ role: 'user', content: 'What is a harbour?' }], top_k: 40 },
    gemini: {
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      contents: [{ role: 'user', parts: [{ text: 'What is a harbour?' }] }],
      generationConfig: { maxOutputTokens: 200, topK: 40 },
    },
  };
  return JSON.stringify(bodies[protocol], null, 2);
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
