import { readError } from './error';
import { count, dict, type Dict, given, list, text } from './json';
import { addText, type Answer, dataUrl, type Draft, emptyAnswer, type Part, type Reader, type ToolCall, type Turn, type Wire } from './neutral';

/** `POST /v1/responses`, without state on the server: everything that was said goes along. */
export function responsesRequest(draft: Draft): Wire {
  const { reasoning } = draft;
  return {
    path: '/v1/responses',
    body: given({
      model: draft.model,
      instructions: draft.system.trim() ? draft.system : undefined,
      input: draft.turns.flatMap(items),
      stream: draft.stream || undefined,
      store: false,
      include: ['reasoning.encrypted_content'],
      max_output_tokens: draft.maxTokens ?? undefined,
      temperature: draft.temperature ?? undefined,
      reasoning: reasoning.by === 'effort' ? { effort: reasoning.effort, summary: 'auto' } : undefined,
      tools: draft.tools.length > 0 ? draft.tools.map((tool) => given({ type: 'function', ...tool })) : undefined,
    }),
  };
}

function items(turn: Turn): unknown[] {
  if (turn.native?.protocol === 'responses') return list(turn.native.content);
  if (turn.role === 'assistant') {
    return turn.parts.flatMap((part): unknown[] => {
      if (part.kind === 'text' || part.kind === 'refusal') return [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: part.text }] }];
      if (part.kind === 'call') return [{ type: 'function_call', call_id: part.id, name: part.name, arguments: part.args }];
      return [];
    });
  }
  const results = turn.parts.flatMap((part) => (part.kind === 'result' ? [{ type: 'function_call_output', call_id: part.id, output: part.text }] : []));
  const content = turn.parts.flatMap(contentOf);
  return [...results, ...(content.length > 0 ? [{ type: 'message', role: 'user', content }] : [])];
}

function contentOf(part: Part): Dict[] {
  if (part.kind === 'text') return [{ type: 'input_text', text: part.text }];
  if (part.kind === 'image') return [{ type: 'input_image', image_url: dataUrl(part) }];
  return [];
}

export class ResponsesReader implements Reader {
  readonly answer: Answer = emptyAnswer();
  private items: unknown[] = [];
  private calls = new Map<number, ToolCall>();
  /** Places whose text has come in pieces already: the whole that follows says nothing new. */
  private told = new Set<string>();

  push(event: unknown): void {
    const { answer } = this;
    const told = dict(event);
    const place = `${count(told.output_index) ?? 0}/${count(told.content_index) ?? count(told.summary_index) ?? 0}`;
    switch (told.type) {
      case 'response.created':
      case 'response.in_progress':
        answer.model ??= text(dict(told.response).model) || null;
        return;
      case 'response.output_text.delta':
        return this.piece('text', place, text(told.delta));
      case 'response.refusal.delta':
        return this.piece('refusal', place, text(told.delta));
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return this.piece('reasoning', place, text(told.delta));
      case 'response.reasoning_summary_part.added':
        // Summaries have paragraphs of their own.
        if (answer.parts.at(-1)?.kind === 'reasoning') addText(answer, 'reasoning', '\n\n');
        return;
      case 'response.output_item.added':
        if (dict(told.item).type === 'function_call') this.call(count(told.output_index) ?? this.calls.size, dict(told.item));
        return;
      case 'response.function_call_arguments.delta': {
        const call = this.calls.get(count(told.output_index) ?? this.calls.size - 1);
        if (call) call.args += text(told.delta);
        return;
      }
      case 'response.output_item.done':
        return this.done(dict(told.item), count(told.output_index) ?? this.items.length);
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
        return this.end(dict(told.response));
      case 'error':
        answer.error = readError(told);
    }
  }

  whole(body: unknown): void {
    const response = dict(body);
    for (const [at, item] of list(response.output).entries()) this.done(dict(item), at);
    this.end(response);
  }

  private piece(kind: 'text' | 'refusal' | 'reasoning', place: string, piece: string): void {
    this.told.add(place);
    addText(this.answer, kind, piece);
  }

  private call(at: number, item: Dict): ToolCall {
    let call = this.calls.get(at);
    if (!call) {
      call = { kind: 'call', id: text(item.call_id), name: text(item.name), args: '' };
      this.calls.set(at, call);
      this.answer.parts.push(call);
    }
    return call;
  }

  /** An item is whole: what of it did not come in pieces is taken from here. */
  private done(item: Dict, at: number): void {
    this.items.push(item);
    if (item.type === 'function_call') {
      this.call(at, item).args = text(item.arguments);
      return;
    }
    const parts = item.type === 'reasoning' ? [...list(item.summary), ...list(item.content)] : item.type === 'message' ? list(item.content) : [];
    for (const [index, part] of parts.map(dict).entries()) {
      if (this.told.has(`${at}/${index}`)) continue;
      if (item.type === 'reasoning') addText(this.answer, 'reasoning', text(part.text));
      else if (part.type === 'refusal') addText(this.answer, 'refusal', text(part.refusal));
      else addText(this.answer, 'text', text(part.text));
    }
  }

  private end(response: Dict): void {
    const { answer } = this;
    answer.model = text(response.model) || answer.model;
    const incomplete = text(dict(response.incomplete_details).reason);
    answer.finish = incomplete || text(response.status) || null;
    // An error that came by itself says more than the one here.
    if (response.error) answer.error ??= readError({ error: response.error });
    const usage = dict(response.usage);
    if (Object.keys(usage).length > 0) {
      answer.usage = {
        input: count(usage.input_tokens),
        cacheRead: count(dict(usage.input_tokens_details).cached_tokens),
        cacheWrite: count(dict(usage.input_tokens_details).cache_write_tokens),
        output: count(usage.output_tokens),
        reasoning: count(dict(usage.output_tokens_details).reasoning_tokens),
      };
    }
  }

  native(): unknown {
    // Ids name what is stored, and nothing is.
    return this.items.map((item) => given({ ...dict(item), id: undefined, status: undefined }));
  }
}
