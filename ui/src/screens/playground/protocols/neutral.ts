/** The protocols that clients speak. */
export const PROTOCOLS = ['chat', 'responses', 'messages', 'gemini'] as const;
export type ClientProtocol = (typeof PROTOCOLS)[number];

export function isProtocol(text: string): text is ClientProtocol {
  return (PROTOCOLS as readonly string[]).includes(text);
}

/** An image as it is given: base64 without the head of a data URL. */
export interface Image {
  kind: 'image';
  type: string;
  data: string;
  name?: string;
}
/** A tool that the model calls; `args` is JSON as the model wrote it, perhaps not whole. */
export interface ToolCall {
  kind: 'call';
  id: string;
  name: string;
  args: string;
}
export interface ToolResult {
  kind: 'result';
  id: string;
  name: string;
  text: string;
}
export type Part = { kind: 'text' | 'reasoning' | 'refusal'; text: string } | Image | ToolCall | ToolResult;

/** One side's turn. What a model said is kept as its protocol wrote it, too: signatures and the like go back unchanged. */
export interface Turn {
  role: 'user' | 'assistant';
  parts: Part[];
  native?: { protocol: ClientProtocol; content: unknown };
}

export interface Tool {
  name: string;
  description?: string;
  parameters: unknown;
}

/** Efforts by their words; a budget in tokens; or what the model does if nobody says. */
export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof EFFORTS)[number];
export type Reasoning = { by: 'default' } | { by: 'effort'; effort: Effort } | { by: 'budget'; tokens: number };

/** What is to be asked, before a protocol writes it down. */
export interface Draft {
  model: string;
  system: string;
  turns: Turn[];
  stream: boolean;
  maxTokens: number | null;
  temperature: number | null;
  reasoning: Reasoning;
  tools: Tool[];
}

/** A request as it is sent. */
export interface Wire {
  path: string;
  body: Record<string, unknown>;
}

export interface Usage {
  /** Of the prompt, whether fresh or from a cache. */
  input: number | null;
  cacheRead: number | null;
  cacheWrite: number | null;
  /** Of the answer, with reasoning. */
  output: number | null;
  reasoning: number | null;
}

/** An error in the words of the protocol. */
export interface ApiError {
  message: string;
  type?: string;
  code?: string;
}

/** An answer as far as it has come. */
export interface Answer {
  parts: Part[];
  /** Why it ended, in the protocol's word. */
  finish: string | null;
  usage: Usage | null;
  /** The model as the answer names it. */
  model: string | null;
  error: ApiError | null;
}

/** Reads what comes, event by event or as a whole. */
export interface Reader {
  readonly answer: Answer;
  push(event: unknown): void;
  whole(body: unknown): void;
  /** The answer as the protocol wants it back in the next request. */
  native(): unknown;
}

export function emptyAnswer(): Answer {
  return { parts: [], finish: null, usage: null, model: null, error: null };
}

/** Adds to the last part if it is of the same kind, and begins one otherwise. */
export function addText(answer: Answer, kind: 'text' | 'reasoning' | 'refusal', text: string): void {
  if (text === '') return;
  const last = answer.parts.at(-1);
  if (last?.kind === kind) last.text += text;
  else answer.parts.push({ kind, text });
}

/** `data:image/png;base64,…`. */
export function dataUrl({ type, data }: Pick<Image, 'type' | 'data'>): string {
  return `data:${type};base64,${data}`;
}

/** Reads a data URL of an image; undefined for any other address. */
export function readDataUrl(url: string): Image | undefined {
  const [, type, data] = /^data:(image\/[\w.+-]+);base64,(.+)$/s.exec(url) ?? [];
  return type && data ? { kind: 'image', type, data } : undefined;
}
