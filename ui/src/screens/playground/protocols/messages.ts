import { readError } from './error';
import { count, dict, type Dict, given, list, parse, text } from './json';
import { addText, type Answer, type Draft, emptyAnswer, type Part, type Reader, type ToolCall, type Turn, type Wire } from './neutral';

/** The protocol wants a limit: this one, where none is given. */
export const DEFAULT_MAX_TOKENS = 4096;

/** `POST /v1/messages`. */
export function messagesRequest(draft: Draft): Wire {
  const { reasoning } = draft;
  const off = reasoning.by === 'effort' && reasoning.effort === 'none';
  const effort = reasoning.by === 'effort' && !off ? reasoning.effort : undefined;
  return {
    path: '/v1/messages',
    body: given({
      model: draft.model,
      max_tokens: draft.maxTokens ?? DEFAULT_MAX_TOKENS,
      system: draft.system.trim() ? draft.system : undefined,
      messages: draft.turns.map((turn) => ({ role: turn.role, content: content(turn) })),
      stream: draft.stream || undefined,
      temperature: draft.temperature ?? undefined,
      thinking: reasoning.by === 'budget' ? { type: 'enabled', budget_tokens: reasoning.tokens } : off ? { type: 'disabled' } : effort ? { type: 'adaptive' } : undefined,
      output_config: effort ? { effort } : undefined,
      tools: draft.tools.length > 0 ? draft.tools.map(({ name, description, parameters }) => given({ name, description, input_schema: parameters })) : undefined,
    }),
  };
}

function content(turn: Turn): unknown {
  if (turn.native?.protocol === 'messages') return turn.native.content;
  const blocks = turn.parts.flatMap(block);
  return blocks.length === 1 && blocks[0]?.type === 'text' ? blocks[0].text : blocks;
}

function block(part: Part): Dict[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return [{ type: 'text', text: part.text }];
    case 'image':
      return [{ type: 'image', source: { type: 'base64', media_type: part.type, data: part.data } }];
    case 'call':
      return [{ type: 'tool_use', id: part.id, name: part.name, input: parse(part.args || '{}') ?? {} }];
    case 'result':
      return [{ type: 'tool_result', tool_use_id: part.id, content: part.text }];
    case 'reasoning':
      // Thinking without its signature is refused.
      return [];
  }
}

export class MessagesReader implements Reader {
  readonly answer: Answer = emptyAnswer();
  private blocks = new Map<number, Dict>();
  private calls = new Map<number, ToolCall>();
  private counts: Dict = {};

  push(event: unknown): void {
    const { answer } = this;
    const told = dict(event);
    const index = count(told.index) ?? 0;
    switch (told.type) {
      case 'message_start': {
        const message = dict(told.message);
        answer.model = text(message.model) || null;
        this.usage(message.usage);
        for (const [at, block] of list(message.content).entries()) this.start(at, dict(block));
        return;
      }
      case 'content_block_start':
        return this.start(index, dict(told.content_block));
      case 'content_block_delta':
        return this.delta(index, dict(told.delta));
      case 'message_delta':
        if (text(dict(told.delta).stop_reason)) answer.finish = text(dict(told.delta).stop_reason);
        return this.usage(told.usage);
      case 'error':
        answer.error = readError(told);
    }
  }

  whole(body: unknown): void {
    const message = dict(body);
    this.push({ type: 'message_start', message });
    this.answer.finish = text(message.stop_reason) || null;
  }

  private start(index: number, block: Dict): void {
    const { answer } = this;
    this.blocks.set(index, { ...block });
    switch (block.type) {
      case 'text':
        return addText(answer, 'text', text(block.text));
      case 'thinking':
        return addText(answer, 'reasoning', text(block.thinking));
      case 'tool_use': {
        const input = dict(block.input);
        const call: ToolCall = { kind: 'call', id: text(block.id), name: text(block.name), args: Object.keys(input).length > 0 ? JSON.stringify(input) : '' };
        this.calls.set(index, call);
        answer.parts.push(call);
      }
    }
  }

  private delta(index: number, delta: Dict): void {
    const { answer } = this;
    const block = this.blocks.get(index) ?? {};
    this.blocks.set(index, block);
    switch (delta.type) {
      case 'text_delta':
        block.type ??= 'text';
        block.text = text(block.text) + text(delta.text);
        return addText(answer, 'text', text(delta.text));
      case 'thinking_delta':
        block.type ??= 'thinking';
        block.thinking = text(block.thinking) + text(delta.thinking);
        return addText(answer, 'reasoning', text(delta.thinking));
      case 'signature_delta':
        block.signature = text(block.signature) + text(delta.signature);
        return;
      case 'input_json_delta': {
        const call = this.calls.get(index);
        if (call) call.args += text(delta.partial_json);
      }
    }
  }

  /** Counts grow: what is not told again stays. */
  private usage(told: unknown): void {
    const now = dict(told);
    if (Object.keys(now).length === 0) return;
    this.counts = { ...this.counts, ...given(Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value ?? undefined]))) };
    const fresh = count(this.counts.input_tokens);
    const cacheRead = count(this.counts.cache_read_input_tokens);
    const cacheWrite = count(this.counts.cache_creation_input_tokens);
    this.answer.usage = {
      // Here the prompt is told without what came from a cache.
      input: fresh === null ? null : fresh + (cacheRead ?? 0) + (cacheWrite ?? 0),
      cacheRead,
      cacheWrite,
      output: count(this.counts.output_tokens),
      reasoning: count(dict(this.counts.output_tokens_details).thinking_tokens),
    };
  }

  native(): unknown {
    return [...this.blocks.entries()]
      .sort(([a], [b]) => a - b)
      .map(([index, block]) => {
        const call = this.calls.get(index);
        return call ? { ...block, input: parse(call.args || '{}') ?? {} } : block;
      })
      .filter((block) => !(dict(block).type === 'text' && text(dict(block).text) === ''));
  }
}
