import { readError } from './error';
import { argsText, count, dict, type Dict, given, list, parse, text } from './json';
import { addText, type Answer, dataUrl, type Draft, emptyAnswer, type Part, readDataUrl, type Reader, type ToolCall, type Turn, type Wire } from './neutral';

/** `POST /v1/chat/completions`. */
export function chatRequest(draft: Draft): Wire {
  const { reasoning } = draft;
  return {
    path: '/v1/chat/completions',
    body: given({
      model: draft.model,
      messages: [...(draft.system.trim() ? [{ role: 'system', content: draft.system }] : []), ...draft.turns.flatMap(messages)],
      stream: draft.stream || undefined,
      stream_options: draft.stream ? { include_usage: true } : undefined,
      max_completion_tokens: draft.maxTokens ?? undefined,
      temperature: draft.temperature ?? undefined,
      reasoning_effort: reasoning.by === 'effort' ? reasoning.effort : undefined,
      tools: draft.tools.length > 0 ? draft.tools.map((tool) => ({ type: 'function', function: given({ ...tool }) })) : undefined,
    }),
  };
}

function messages(turn: Turn): unknown[] {
  if (turn.native?.protocol === 'chat') return [turn.native.content];
  if (turn.role === 'assistant') {
    const said = turn.parts.flatMap((part) => (part.kind === 'text' || part.kind === 'refusal' ? [part.text] : [])).join('');
    const calls = turn.parts.filter((part) => part.kind === 'call');
    return [
      given({
        role: 'assistant',
        content: said || null,
        tool_calls: calls.length > 0 ? calls.map(({ id, name, args }) => ({ id, type: 'function', function: { name, arguments: args } })) : undefined,
      }),
    ];
  }
  const results = turn.parts.flatMap((part) => (part.kind === 'result' ? [{ role: 'tool', tool_call_id: part.id, content: part.text }] : []));
  const content = turn.parts.flatMap(contentOf);
  const plain = content.length === 1 && content[0]?.type === 'text' ? content[0].text : content;
  return [...results, ...(content.length > 0 ? [{ role: 'user', content: plain }] : [])];
}

function contentOf(part: Part): Dict[] {
  if (part.kind === 'text') return [{ type: 'text', text: part.text }];
  if (part.kind === 'image') return [{ type: 'image_url', image_url: { url: dataUrl(part) } }];
  return [];
}

export class ChatReader implements Reader {
  readonly answer: Answer = emptyAnswer();
  private calls = new Map<number, ToolCall>();
  /** What belongs to calls and to the whole, and goes back as it came: signatures above all. */
  private extras = new Map<string, Dict>();
  private details: unknown[] = [];

  push(event: unknown): void {
    const chunk = dict(event);
    if (chunk.error !== undefined) {
      this.answer.error = readError(chunk);
      return;
    }
    this.answer.model ??= text(chunk.model) || null;
    this.usage(chunk.usage);
    const choice = dict(list(chunk.choices).find((choice) => (count(dict(choice).index) ?? 0) === 0));
    this.message(dict(choice.delta));
    if (text(choice.finish_reason)) this.answer.finish = text(choice.finish_reason);
  }

  whole(body: unknown): void {
    const whole = dict(body);
    this.push({ ...whole, choices: list(whole.choices).map((choice) => ({ ...dict(choice), delta: dict(choice).message })) });
  }

  private message(delta: Dict): void {
    const { answer } = this;
    addText(answer, 'reasoning', text(delta.reasoning_content) || text(delta.reasoning));
    this.details.push(...list(delta.reasoning_details));
    if (Array.isArray(delta.content)) for (const part of delta.content) addText(answer, dict(part).type === 'thinking' ? 'reasoning' : 'text', text(dict(part).text));
    else addText(answer, 'text', text(delta.content));
    addText(answer, 'refusal', text(delta.refusal));
    for (const image of list(delta.images)) {
      const read = readDataUrl(text(dict(dict(image).image_url).url));
      if (read) answer.parts.push(read);
    }
    for (const [at, piece] of list(delta.tool_calls).entries()) this.call(dict(piece), at);
  }

  private call(piece: Dict, at: number): void {
    const called = dict(piece.function);
    const index = count(piece.index) ?? at;
    let call = this.calls.get(index);
    if (!call) {
      call = { kind: 'call', id: '', name: '', args: '' };
      this.calls.set(index, call);
      this.answer.parts.push(call);
    }
    call.id ||= text(piece.id);
    call.name ||= text(called.name);
    call.args += argsText(called.arguments);
    const { index: _i, id: _d, type: _t, function: _f, ...extra } = piece;
    if (Object.keys(extra).length > 0) this.extras.set(call.id, { ...this.extras.get(call.id), ...extra });
  }

  private usage(told: unknown): void {
    const usage = dict(told);
    if (Object.keys(usage).length === 0) return;
    const prompt = dict(usage.prompt_tokens_details);
    this.answer.usage = {
      input: count(usage.prompt_tokens),
      cacheRead: count(prompt.cached_tokens),
      cacheWrite: count(prompt.cache_creation_tokens),
      output: count(usage.completion_tokens),
      reasoning: count(dict(usage.completion_tokens_details).reasoning_tokens),
    };
  }

  native(): unknown {
    const of = (kind: Part['kind']) => this.answer.parts.flatMap((part) => (part.kind === kind && 'text' in part ? [part.text] : [])).join('');
    const calls = [...this.calls.values()];
    return given({
      role: 'assistant',
      content: of('text') || null,
      refusal: of('refusal') || undefined,
      reasoning_content: of('reasoning') || undefined,
      reasoning_details: this.details.length > 0 ? this.details : undefined,
      tool_calls:
        calls.length > 0
          ? calls.map(({ id, name, args }) => ({ id, type: 'function', function: { name, arguments: parse(args) === undefined ? '{}' : args }, ...this.extras.get(id) }))
          : undefined,
    });
  }
}
