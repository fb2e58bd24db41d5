import { readError } from './error';
import { count, dict, type Dict, given, list, parse, text } from './json';
import { addText, type Answer, type Draft, emptyAnswer, type Part, type Reader, type Turn, type Wire } from './neutral';

/** `POST /v1beta/models/M:generateContent`, or `:streamGenerateContent`. */
export function geminiRequest(draft: Draft): Wire {
  const { reasoning } = draft;
  const thinking =
    reasoning.by === 'budget'
      ? { thinkingBudget: reasoning.tokens, includeThoughts: true }
      : reasoning.by === 'effort'
        ? reasoning.effort === 'none'
          ? { thinkingBudget: 0 }
          : { thinkingLevel: reasoning.effort, includeThoughts: true }
        : undefined;
  const config = given({ maxOutputTokens: draft.maxTokens ?? undefined, temperature: draft.temperature ?? undefined, thinkingConfig: thinking });
  return {
    path: geminiPath(draft.model, draft.stream),
    body: given({
      systemInstruction: draft.system.trim() ? { parts: [{ text: draft.system }] } : undefined,
      contents: draft.turns.map((turn) => ({ role: turn.role === 'user' ? 'user' : 'model', parts: partsOf(turn) })),
      generationConfig: Object.keys(config).length > 0 ? config : undefined,
      tools: draft.tools.length > 0 ? [{ functionDeclarations: draft.tools.map((tool) => given({ ...tool })) }] : undefined,
    }),
  };
}

export function geminiPath(model: string, stream: boolean): string {
  // A model's name may hold slashes, which stay; everything else that means something in an address does not.
  const name = model.split('/').map(encodeURIComponent).join('/');
  return `/v1beta/models/${name}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
}

function partsOf(turn: Turn): unknown[] {
  return turn.native?.protocol === 'gemini' ? list(turn.native.content) : turn.parts.flatMap(wire);
}

function wire(part: Part): Dict[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return [{ text: part.text }];
    case 'image':
      return [{ inlineData: { mimeType: part.type, data: part.data } }];
    case 'call':
      return [{ functionCall: given({ id: realId(part.id), name: part.name, args: parse(part.args || '{}') ?? {} }) }];
    case 'result': {
      const value = parse(part.text);
      const object = typeof value === 'object' && value !== null && !Array.isArray(value);
      return [{ functionResponse: given({ id: realId(part.id), name: part.name, response: object ? value : { result: part.text } }) }];
    }
    case 'reasoning':
      return [];
  }
}

/** Calls may come without an id. They get one here, for other protocols and to tell them apart; this one is not told of it. */
const MADE = 'call_made_';

function realId(id: string): string | undefined {
  return id === '' || id.startsWith(MADE) ? undefined : id;
}

export class GeminiReader implements Reader {
  readonly answer: Answer = emptyAnswer();
  private said: Dict[] = [];

  push(event: unknown): void {
    const { answer } = this;
    const chunk = dict(event);
    if (chunk.error !== undefined) {
      answer.error = readError(chunk);
      return;
    }
    answer.model ??= text(chunk.modelVersion) || null;
    this.usage(chunk.usageMetadata);
    const blocked = text(dict(chunk.promptFeedback).blockReason);
    if (blocked) answer.finish = blocked;
    const candidate = dict(list(chunk.candidates).find((candidate) => (count(dict(candidate).index) ?? 0) === 0));
    for (const part of list(dict(candidate.content).parts)) this.part(dict(part));
    if (text(candidate.finishReason)) answer.finish = text(candidate.finishReason);
  }

  whole(body: unknown): void {
    // A stream without `alt=sse` is a list.
    for (const chunk of Array.isArray(body) ? body : [body]) this.push(chunk);
  }

  private part(part: Dict): void {
    const { answer } = this;
    if (part.functionCall !== undefined) {
      const called = dict(part.functionCall);
      answer.parts.push({ kind: 'call', id: text(called.id) || `${MADE}${answer.parts.length}`, name: text(called.name), args: JSON.stringify(called.args ?? {}) });
    } else if (part.inlineData !== undefined) {
      const { mimeType, data } = dict(part.inlineData);
      if (/^image\/[\w.+-]+$/.test(text(mimeType))) answer.parts.push({ kind: 'image', type: text(mimeType), data: text(data) });
    } else addText(answer, part.thought === true ? 'reasoning' : 'text', text(part.text));
    this.keep(part);
  }

  /** Texts that follow one another are one; a part that carries a signature stays by itself. */
  private keep(part: Dict): void {
    const last = this.said.at(-1);
    const plain = (one: Dict | undefined) => one !== undefined && typeof one.text === 'string' && one.thoughtSignature === undefined;
    if (last && plain(last) && plain(part) && last.thought === part.thought) last.text = text(last.text) + text(part.text);
    else if (!(plain(part) && part.text === '')) this.said.push({ ...part });
  }

  private usage(told: unknown): void {
    const usage = dict(told);
    if (Object.keys(usage).length === 0) return;
    const reasoning = count(usage.thoughtsTokenCount);
    const visible = count(usage.candidatesTokenCount);
    this.answer.usage = {
      input: count(usage.promptTokenCount),
      cacheRead: count(usage.cachedContentTokenCount),
      cacheWrite: null,
      output: visible === null && reasoning === null ? null : (visible ?? 0) + (reasoning ?? 0),
      reasoning,
    };
  }

  native(): unknown {
    return this.said;
  }
}
