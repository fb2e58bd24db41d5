import type { Exchange } from './exchange';
import { dict, list, parse, text } from './protocols/json';
import type { ClientProtocol, Draft, Effort, Image, Part, Reasoning, Tool, ToolCall, Turn } from './protocols/neutral';

/** A turn as it is shown: the answer with what is known of the exchange that it came in. */
export interface Said extends Turn {
  /** The same for what was said to several targets at once. */
  id: number;
  exchange?: Exchange;
}

/** One target and what was said to it. */
export interface Lane {
  protocol: ClientProtocol;
  model: string;
  turns: Said[];
  /** What is under way. */
  running: Exchange | null;
  /** What ended last, with its events. */
  last: Exchange | null;
  /** Results of tools, as far as they are typed. */
  results: readonly string[];
}

export interface Settings {
  system: string;
  stream: boolean;
  /** As they are typed; empty where nothing is said. */
  maxTokens: string;
  temperature: string;
  reasoning: 'default' | 'budget' | Effort;
  budget: string;
  useTools: boolean;
  /** A JSON list. */
  tools: string;
}

export const EXAMPLE_TOOLS: Tool[] = [
  {
    name: 'get_weather',
    description: 'Tells the weather of a place.',
    parameters: { type: 'object', properties: { city: { type: 'string', description: 'The name of the city' } }, required: ['city'] },
  },
];

export const SETTINGS: Settings = {
  system: '', stream: true, maxTokens: '', temperature: '', reasoning: 'default', budget: '2048', useTools: false, tools: JSON.stringify(EXAMPLE_TOOLS, null, 2),
};

export function newLane(protocol: ClientProtocol, model: string): Lane {
  return { protocol, model, turns: [], running: null, last: null, results: [] };
}

/** Reads the list of tools: names and schemas, in the neutral shape or in any protocol's. */
export function readTools(source: string): { tools: Tool[] } | { wrong: 'json' | 'list' | 'name'; at?: number } {
  const value = parse(source);
  if (value === undefined) return { wrong: 'json' };
  if (!Array.isArray(value)) return { wrong: 'list' };
  const tools: Tool[] = [];
  for (const [at, one] of value.flatMap((one) => (Array.isArray(dict(one).functionDeclarations) ? list(dict(one).functionDeclarations) : [one])).entries()) {
    const outer = dict(one);
    const tool = outer.function === undefined ? outer : dict(outer.function);
    const name = text(tool.name);
    if (name === '') return { wrong: 'name', at: at + 1 };
    const description = text(tool.description);
    tools.push({ name, ...(description ? { description } : {}), parameters: tool.parameters ?? tool.input_schema ?? { type: 'object', properties: {} } });
  }
  return { tools };
}

function numberOf(typed: string): number | null {
  const value = Number(typed);
  return typed.trim() === '' || !Number.isFinite(value) ? null : value;
}

export function reasoningOf({ reasoning, budget }: Settings): Reasoning {
  if (reasoning === 'default') return { by: 'default' };
  if (reasoning === 'budget') return { by: 'budget', tokens: numberOf(budget) ?? 0 };
  return { by: 'effort', effort: reasoning };
}

export function draftOf(lane: Lane, settings: Settings, tools: Tool[]): Draft {
  return {
    model: lane.model,
    system: settings.system,
    turns: lane.turns.map(({ role, parts, native }) => ({ role, parts, native })),
    stream: settings.stream,
    maxTokens: numberOf(settings.maxTokens),
    temperature: numberOf(settings.temperature),
    reasoning: reasoningOf(settings),
    tools: settings.useTools ? tools : [],
  };
}

/** The calls that wait for their results: those of the last answer. */
export function openCalls(lane: Lane): ToolCall[] {
  const last = lane.turns.at(-1);
  return last?.role === 'assistant' ? last.parts.filter((part) => part.kind === 'call') : [];
}

/** What the reader typed as the results of those calls. */
export function resultsOf(lane: Lane): Part[] {
  return openCalls(lane).map(({ id, name }, index): Part => ({ kind: 'result', id, name, text: lane.results[index] ?? '' }));
}

/** Whether the last thing said waits for an answer that has not come. */
export function unanswered(lane: Lane): boolean {
  return lane.running === null && lane.turns.at(-1)?.role === 'user';
}

/** Says something to a lane. */
export function say(lane: Lane, id: number, parts: Part[]): Lane {
  return { ...lane, turns: [...lane.turns, { id, role: 'user', parts }], last: null, results: [] };
}

/** Takes over how an exchange has ended. What was answered joins the conversation, also where it was stopped; a failure leaves it as it was. */
export function ended(lane: Lane, id: number, exchange: Exchange): Lane {
  const { answer, state, native } = exchange;
  const joins = state === 'done' || (state === 'stopped' && answer.parts.length > 0);
  // What went over the wire is much, and grows with every turn: only the last exchange keeps it.
  const turns = lane.turns.map((turn) => (turn.exchange ? { ...turn, exchange: { ...turn.exchange, sent: '', body: null, events: [] } } : turn));
  if (!joins) return { ...lane, turns, running: null, last: exchange };
  const said: Said = { id, role: 'assistant', parts: answer.parts, exchange };
  // What broke off has calls and signatures that are not whole: it goes back as plain text.
  if (state === 'done') said.native = { protocol: exchange.protocol, content: native };
  else said.parts = answer.parts.filter((part) => part.kind !== 'call');
  return { ...lane, turns: [...turns, said], running: null, last: exchange };
}

/** The second target is told what was said to the first since it was asked last, and answers from now on. */
export function caughtUp(second: Lane, first: Lane): Lane {
  const lane = second.model === '' ? newLane(first.protocol, first.model) : second;
  const heard = Math.max(0, ...lane.turns.filter(({ role }) => role === 'user').map(({ id }) => id));
  // Results belong to calls that only the first has made.
  const at = first.turns.findIndex(({ id, role, parts }) => role === 'user' && id > heard && !parts.some(({ kind }) => kind === 'result'));
  return at < 0 ? lane : { ...lane, turns: [...lane.turns, ...first.turns.slice(at)], last: null };
}

/** What stands for a message where none is typed yet. */
export const EXAMPLE = 'Hello';

/** What is typed, as it is said. */
export function partsOf(input: string, images: readonly Image[]): Part[] {
  return [...(input.trim() ? [{ kind: 'text' as const, text: input }] : []), ...images];
}

/** A lane as it is asked next: with what is typed, or as it was asked last. A request ends with what the caller says. */
export function nextOf(lane: Lane, input: string, images: readonly Image[]): Lane {
  const typed = partsOf(input, images);
  if (typed.length > 0) return say(lane, 0, typed);
  if (openCalls(lane).length > 0) return say(lane, 0, resultsOf(lane));
  const last = lane.turns.findLastIndex(({ role }) => role === 'user');
  return last < 0 ? say(lane, 0, [{ kind: 'text', text: EXAMPLE }]) : { ...lane, turns: lane.turns.slice(0, last + 1) };
}

/** Whether an answer is forgotten with the turn. */
export function cutsAnswer(lane: Lane, id: number): boolean {
  const at = lane.turns.findIndex((turn) => turn.id === id);
  return at >= 0 && lane.turns.slice(at).some(({ role }) => role === 'assistant');
}

/** Forgets the turn and everything after it. */
export function cutAt(lane: Lane, id: number): Lane {
  const at = lane.turns.findIndex((turn) => turn.id === id);
  return at < 0 ? lane : { ...lane, turns: lane.turns.slice(0, at), running: null, last: null, results: [] };
}

/** What a turn said, for the field that it is edited in. */
export function typedOf(turn: Turn): { text: string; images: Image[] } {
  return {
    text: turn.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n'),
    images: turn.parts.filter((part) => part.kind === 'image'),
  };
}

/** A body that is written by hand, or what is wrong with it. */
export function readRaw(source: string): { body: Record<string, unknown> } | { wrong: string } {
  try {
    const value: unknown = JSON.parse(source);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { body: value as Record<string, unknown> };
    return { wrong: 'object' };
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) };
  }
}
