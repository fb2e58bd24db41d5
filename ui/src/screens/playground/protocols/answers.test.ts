import { describe, expect, it } from 'vitest';

import { SPEECH } from '.';
import { readError } from './error';
import { type ClientProtocol, PROTOCOLS, readDataUrl } from './neutral';

function read(protocol: ClientProtocol, events: unknown[]) {
  const reader = SPEECH[protocol].reader();
  for (const event of events) reader.push(event);
  return reader;
}

describe('answers of Chat', () => {
  const chunk = (delta: unknown, more: object = {}) => ({ model: 'm-1', choices: [{ index: 0, delta, finish_reason: null, ...more }] });

  it('puts pieces together', () => {
    const { answer, ...reader } = read('chat', [
      chunk({ role: 'assistant', content: '' }), chunk({ reasoning_content: 'Let me ' }), chunk({ reasoning_content: 'see.' }), chunk({ content: 'Hel' }), chunk({ content: 'lo' }),
      chunk({}, { finish_reason: 'stop' }),
      { choices: [], usage: { prompt_tokens: 9, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 4 }, completion_tokens_details: { reasoning_tokens: 3 } } },
    ]);
    expect(reader).toBeTruthy();
    expect(answer).toEqual({
      parts: [{ kind: 'reasoning', text: 'Let me see.' }, { kind: 'text', text: 'Hello' }],
      finish: 'stop', model: 'm-1', error: null, usage: { input: 9, cacheRead: 4, cacheWrite: null, output: 7, reasoning: 3 },
    });
  });

  it('keeps parallel calls apart, and gives back their signatures', () => {
    const reader = read('chat', [
      chunk({ tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{"x"' }, extra_content: { google: { thought_signature: 'S' } } }] }),
      chunk({ tool_calls: [{ index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }, { index: 1, function: { arguments: '{}' } }] }),
      chunk({ reasoning_details: [{ type: 'reasoning.encrypted', data: 'D' }] }),
      chunk({}, { finish_reason: 'tool_calls' }),
    ]);
    expect(reader.answer.parts).toEqual([{ kind: 'call', id: 'a', name: 'f', args: '{"x":1}' }, { kind: 'call', id: 'b', name: 'g', args: '{}' }]);
    expect(reader.native()).toEqual({
      role: 'assistant', content: null, reasoning_details: [{ type: 'reasoning.encrypted', data: 'D' }],
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' }, extra_content: { google: { thought_signature: 'S' } } },
        { id: 'b', type: 'function', function: { name: 'g', arguments: '{}' } },
      ],
    });
  });

  it('shows an error inside the stream beside what came before', () => {
    const { answer } = read('chat', [chunk({ content: 'Hal' }), { error: { message: 'engine lost', type: 'server_error', code: 'x' } }]);
    expect(answer.parts).toEqual([{ kind: 'text', text: 'Hal' }]);
    expect(answer.error).toEqual({ message: 'engine lost', type: 'server_error', code: 'x' });
  });

  it('reads a whole answer, refusals and images', () => {
    const reader = SPEECH.chat.reader();
    reader.whole({ model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'Yes', refusal: 'No', images: [{ image_url: { url: 'data:image/png;base64,AA==' } }, { image_url: { url: 'https://x/y.png' } }] }, finish_reason: 'length' }] });
    expect(reader.answer.parts).toEqual([{ kind: 'text', text: 'Yes' }, { kind: 'refusal', text: 'No' }, { kind: 'image', type: 'image/png', data: 'AA==' }]);
    expect(reader.answer.finish).toBe('length');
  });
});

describe('answers of Responses', () => {
  const CALL = { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"x":1}', status: 'completed' };
  const REASONING = { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'First.' }, { type: 'summary_text', text: 'Then.' }], encrypted_content: 'E' };

  it('puts pieces together and takes nothing twice', () => {
    const reader = read('responses', [
      { type: 'response.created', response: { model: 'm-1' } },
      { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', summary: [] } },
      { type: 'response.reasoning_summary_part.added', output_index: 0, summary_index: 0 },
      { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index: 0, delta: 'First.' },
      { type: 'response.reasoning_summary_part.added', output_index: 0, summary_index: 1 },
      { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index: 1, delta: 'Then.' },
      { type: 'response.output_item.done', output_index: 0, item: REASONING },
      { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'Hel' },
      { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'lo' },
      { type: 'response.output_item.done', output_index: 1, item: { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: 'Hello' }] } },
      { type: 'response.output_item.added', output_index: 2, item: { ...CALL, arguments: '' } },
      { type: 'response.function_call_arguments.delta', output_index: 2, delta: '{"x"' },
      { type: 'response.function_call_arguments.delta', output_index: 2, delta: ':1}' },
      { type: 'response.output_item.done', output_index: 2, item: CALL },
      { type: 'response.completed', response: { status: 'completed', model: 'm-1', usage: { input_tokens: 5, output_tokens: 6, input_tokens_details: { cached_tokens: 1 }, output_tokens_details: { reasoning_tokens: 2 } } } },
    ]);
    expect(reader.answer).toEqual({
      parts: [{ kind: 'reasoning', text: 'First.\n\nThen.' }, { kind: 'text', text: 'Hello' }, { kind: 'call', id: 'c1', name: 'f', args: '{"x":1}' }],
      finish: 'completed', model: 'm-1', error: null, usage: { input: 5, cacheRead: 1, cacheWrite: null, output: 6, reasoning: 2 },
    });
    expect(reader.native()).toEqual([
      { type: 'reasoning', summary: REASONING.summary, encrypted_content: 'E' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hello' }] },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"x":1}' },
    ]);
  });

  it('reads a whole answer that was cut', () => {
    const reader = SPEECH.responses.reader();
    reader.whole({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, model: 'm', output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hel' }, { type: 'refusal', refusal: 'No.' }] }, CALL] });
    expect(reader.answer.parts).toEqual([{ kind: 'text', text: 'Hel' }, { kind: 'refusal', text: 'No.' }, { kind: 'call', id: 'c1', name: 'f', args: '{"x":1}' }]);
    expect(reader.answer.finish).toBe('max_output_tokens');
  });

  it('keeps the first of two errors', () => {
    const { answer } = read('responses', [
      { type: 'error', code: 'server_is_overloaded', message: 'engine lost', param: null },
      { type: 'response.failed', response: { status: 'failed', error: { code: 'server_error', message: 'other' } } },
    ]);
    expect(answer.error).toEqual({ message: 'engine lost', type: undefined, code: 'server_is_overloaded' });
    expect(read('responses', [{ type: 'response.failed', response: { status: 'failed', error: { code: 'server_error', message: 'other' } } }]).answer.error?.message).toBe('other');
  });
});

describe('answers of Messages', () => {
  const EVENTS = [
    { type: 'message_start', message: { model: 'm-1', content: [], usage: { input_tokens: 10, cache_read_input_tokens: 4, cache_creation_input_tokens: 2, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm.' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'SIG' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'ping' },
    { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Hel' } },
    { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'lo' } },
    { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: 't1', name: 'f', input: {} } },
    { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"x"' } },
    { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: ':1}' } },
    { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 7 } },
    { type: 'message_stop' },
  ];

  it('puts pieces together', () => {
    const reader = read('messages', EVENTS);
    expect(reader.answer).toEqual({
      parts: [{ kind: 'reasoning', text: 'Hm.' }, { kind: 'text', text: 'Hello' }, { kind: 'call', id: 't1', name: 'f', args: '{"x":1}' }],
      finish: 'tool_use', model: 'm-1', error: null, usage: { input: 16, cacheRead: 4, cacheWrite: 2, output: 7, reasoning: null },
    });
    expect(reader.native()).toEqual([
      { type: 'thinking', thinking: 'Hm.', signature: 'SIG' },
      { type: 'text', text: 'Hello' },
      { type: 'tool_use', id: 't1', name: 'f', input: { x: 1 } },
    ]);
  });

  it('reads a whole answer', () => {
    const reader = SPEECH.messages.reader();
    reader.whole({ model: 'm', stop_reason: 'end_turn', content: [{ type: 'redacted_thinking', data: 'R' }, { type: 'text', text: 'Hi' }, { type: 'tool_use', id: 't', name: 'f', input: { a: 1 } }], usage: { input_tokens: 1, output_tokens: 2 } });
    expect(reader.answer.parts).toEqual([{ kind: 'text', text: 'Hi' }, { kind: 'call', id: 't', name: 'f', args: '{"a":1}' }]);
    expect(reader.native()).toEqual([{ type: 'redacted_thinking', data: 'R' }, { type: 'text', text: 'Hi' }, { type: 'tool_use', id: 't', name: 'f', input: { a: 1 } }]);
  });

  it('shows an error inside the stream, and arguments that broke off do no harm', () => {
    const reader = read('messages', [...EVENTS.slice(0, 11), { type: 'error', error: { type: 'overloaded_error', message: 'engine lost' } }]);
    expect(reader.answer.error).toEqual({ message: 'engine lost', type: 'overloaded_error', code: undefined });
    expect((reader.native() as unknown[]).at(-1)).toEqual({ type: 'tool_use', id: 't1', name: 'f', input: {} });
  });
});

describe('answers of Gemini', () => {
  const chunk = (parts: unknown[], more: object = {}) => ({ candidates: [{ content: { role: 'model', parts }, index: 0, ...more }], modelVersion: 'm-1' });

  it('puts pieces together and keeps signatures', () => {
    const reader = read('gemini', [
      chunk([{ text: 'Hm', thought: true }]), chunk([{ text: '.', thought: true }]), chunk([{ text: 'Hel' }]), chunk([{ text: 'lo' }]), chunk([{ text: '', thoughtSignature: 'S' }]),
      chunk([{ functionCall: { name: 'f', args: { x: 1 } }, thoughtSignature: 'T' }, { functionCall: { id: 'g1', name: 'g' } }]),
      { ...chunk([{ text: '' }], { finishReason: 'STOP' }), usageMetadata: { promptTokenCount: 9, cachedContentTokenCount: 4, candidatesTokenCount: 5, thoughtsTokenCount: 2 } },
    ]);
    expect(reader.answer).toEqual({
      parts: [
        { kind: 'reasoning', text: 'Hm.' }, { kind: 'text', text: 'Hello' }, { kind: 'call', id: 'call_made_2', name: 'f', args: '{"x":1}' }, { kind: 'call', id: 'g1', name: 'g', args: '{}' },
      ],
      finish: 'STOP', model: 'm-1', error: null, usage: { input: 9, cacheRead: 4, cacheWrite: null, output: 7, reasoning: 2 },
    });
    expect(reader.native()).toEqual([
      { text: 'Hm.', thought: true }, { text: 'Hello' }, { text: '', thoughtSignature: 'S' }, { functionCall: { name: 'f', args: { x: 1 } }, thoughtSignature: 'T' }, { functionCall: { id: 'g1', name: 'g' } },
    ]);
  });

  it('reads whole answers, lists, images and blocked prompts', () => {
    const reader = SPEECH.gemini.reader();
    reader.whole([chunk([{ inlineData: { mimeType: 'image/webp', data: 'AA' } }, { inlineData: { mimeType: 'text/html', data: 'AA' } }]), chunk([{ text: 'x' }])]);
    expect(reader.answer.parts).toEqual([{ kind: 'image', type: 'image/webp', data: 'AA' }, { kind: 'text', text: 'x' }]);
    expect(read('gemini', [{ promptFeedback: { blockReason: 'SAFETY' } }]).answer.finish).toBe('SAFETY');
  });

  it('shows an error inside the stream', () => {
    expect(read('gemini', [chunk([{ text: 'Hal' }]), { error: { code: 503, message: 'engine lost', status: 'UNAVAILABLE' } }]).answer.error).toEqual({ message: 'engine lost', type: 'UNAVAILABLE', code: '503' });
  });
});

describe('whatever comes', () => {
  const ODD: unknown[] = [null, 7, 'text', [], {}, { choices: 'x' }, { choices: [null] }, { choices: [{ delta: { tool_calls: [null, { function: 5 }] } }] }, { type: 'content_block_delta' },
    { type: 'content_block_delta', index: 9, delta: { type: 'text_delta' } }, { type: 'content_block_start', content_block: null }, { type: 'message_start' }, { type: 'response.output_item.done' },
    { type: 'response.function_call_arguments.delta', delta: 'x' }, { type: 'response.completed' }, { candidates: [{ content: { parts: [null, { functionCall: null }] } }] }, { error: null }];

  it.each(PROTOCOLS)('%s reads on', (protocol) => {
    const reader = SPEECH[protocol].reader();
    for (const event of ODD) {
      reader.push(event);
      reader.whole(event);
    }
    expect(() => JSON.stringify([reader.answer, reader.native()])).not.toThrow();
  });

  it('reads errors of every shape', () => {
    expect(readError([{ error: { code: 400, message: 'bad', status: 'INVALID_ARGUMENT' } }])).toEqual({ message: 'bad', type: 'INVALID_ARGUMENT', code: '400' });
    expect(readError({ error: 'plain' })).toEqual({ message: 'plain' });
    expect(readError({ detail: 'what', code: 'c' })).toMatchObject({ message: 'what', code: 'c' });
    expect(readError('<html>')).toEqual({ message: '<html>' });
    expect(readError({ error: { odd: 1 } })).toMatchObject({ message: '{"odd":1}' });
    expect([readError({}), readError(null), readError([]), readError('')]).toEqual([null, null, null, null]);
  });

  it('reads data URLs of images alone', () => {
    expect(readDataUrl('data:image/svg+xml;base64,AA==')).toEqual({ kind: 'image', type: 'image/svg+xml', data: 'AA==' });
    expect([readDataUrl('data:text/html;base64,AA=='), readDataUrl('https://x'), readDataUrl('data:image/png;base64,')]).toEqual([undefined, undefined, undefined]);
  });
});
