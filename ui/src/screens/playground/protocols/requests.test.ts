import { describe, expect, it } from 'vitest';

import { SPEECH } from '.';
import { type Draft, PROTOCOLS, type Turn } from './neutral';

const draft = (more: Partial<Draft> = {}): Draft => ({
  model: 'm', system: '', turns: [{ role: 'user', parts: [{ kind: 'text', text: 'Hi' }] }], stream: true, maxTokens: null, temperature: null,
  reasoning: { by: 'default' }, tools: [], ...more,
});

const TOOL = { name: 'get_weather', description: 'The weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } };
const PICTURE = { kind: 'image', type: 'image/png', data: 'aWNvbg==' } as const;

/** A conversation with a tool: what was asked, the call, its result. */
const CONVERSATION: Turn[] = [
  { role: 'user', parts: [{ kind: 'text', text: 'Weather here?' }, PICTURE] },
  { role: 'assistant', parts: [{ kind: 'reasoning', text: 'secret' }, { kind: 'text', text: 'I look.' }, { kind: 'call', id: 'c1', name: 'get_weather', args: '{"city":"Ulm"}' }] },
  { role: 'user', parts: [{ kind: 'result', id: 'c1', name: 'get_weather', text: '{"degrees":7}' }] },
];

describe('requests', () => {
  it('writes Chat', () => {
    const { path, body } = SPEECH.chat.request(draft({ system: 'Be brief.', turns: CONVERSATION, maxTokens: 50, temperature: 0, reasoning: { by: 'effort', effort: 'low' }, tools: [TOOL] }));
    expect(path).toBe('/v1/chat/completions');
    expect(body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: [{ type: 'text', text: 'Weather here?' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,aWNvbg==' } }] },
        { role: 'assistant', content: 'I look.', tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Ulm"}' } }] },
        { role: 'tool', tool_call_id: 'c1', content: '{"degrees":7}' },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 50,
      temperature: 0,
      reasoning_effort: 'low',
      tools: [{ type: 'function', function: TOOL }],
    });
  });

  it('writes Responses', () => {
    const { path, body } = SPEECH.responses.request(draft({ system: 'Be brief.', turns: CONVERSATION, maxTokens: 50, reasoning: { by: 'effort', effort: 'high' }, tools: [TOOL], stream: false }));
    expect(path).toBe('/v1/responses');
    expect(body).toEqual({
      model: 'm',
      instructions: 'Be brief.',
      input: [
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Weather here?' }, { type: 'input_image', image_url: 'data:image/png;base64,aWNvbg==' }] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
        { type: 'function_call', call_id: 'c1', name: 'get_weather', arguments: '{"city":"Ulm"}' },
        { type: 'function_call_output', call_id: 'c1', output: '{"degrees":7}' },
      ],
      store: false,
      include: ['reasoning.encrypted_content'],
      max_output_tokens: 50,
      reasoning: { effort: 'high', summary: 'auto' },
      tools: [{ type: 'function', ...TOOL }],
    });
  });

  it('writes Messages', () => {
    const { path, body } = SPEECH.messages.request(draft({ system: 'Be brief.', turns: CONVERSATION, reasoning: { by: 'budget', tokens: 2048 }, tools: [TOOL] }));
    expect(path).toBe('/v1/messages');
    expect(body).toEqual({
      model: 'm',
      max_tokens: 4096,
      system: 'Be brief.',
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'Weather here?' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aWNvbg==' } }] },
        { role: 'assistant', content: [{ type: 'text', text: 'I look.' }, { type: 'tool_use', id: 'c1', name: 'get_weather', input: { city: 'Ulm' } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: '{"degrees":7}' }] },
      ],
      stream: true,
      thinking: { type: 'enabled', budget_tokens: 2048 },
      tools: [{ name: 'get_weather', description: 'The weather', input_schema: TOOL.parameters }],
    });
    expect(SPEECH.messages.request(draft({ reasoning: { by: 'effort', effort: 'high' } })).body).toMatchObject({ thinking: { type: 'adaptive' }, output_config: { effort: 'high' } });
    expect(SPEECH.messages.request(draft({ reasoning: { by: 'effort', effort: 'none' } })).body).toMatchObject({ thinking: { type: 'disabled' } });
  });

  it('writes Gemini', () => {
    const { path, body } = SPEECH.gemini.request(draft({ model: 'a/b c', system: 'Be brief.', turns: CONVERSATION, maxTokens: 50, reasoning: { by: 'budget', tokens: 0 }, tools: [TOOL] }));
    expect(path).toBe('/v1beta/models/a/b%20c:streamGenerateContent?alt=sse');
    expect(body).toEqual({
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      contents: [
        { role: 'user', parts: [{ text: 'Weather here?' }, { inlineData: { mimeType: 'image/png', data: 'aWNvbg==' } }] },
        { role: 'model', parts: [{ text: 'I look.' }, { functionCall: { id: 'c1', name: 'get_weather', args: { city: 'Ulm' } } }] },
        { role: 'user', parts: [{ functionResponse: { id: 'c1', name: 'get_weather', response: { degrees: 7 } } }] },
      ],
      generationConfig: { maxOutputTokens: 50, thinkingConfig: { thinkingBudget: 0, includeThoughts: true } },
      tools: [{ functionDeclarations: [TOOL] }],
    });
    expect(SPEECH.gemini.request(draft({ stream: false })).path).toBe('/v1beta/models/m:generateContent');
    const plain = SPEECH.gemini.request(draft({ turns: [{ role: 'user', parts: [{ kind: 'result', id: 'call_made_0', name: 'f', text: 'warm' }] }] }));
    expect(plain.body.contents).toEqual([{ role: 'user', parts: [{ functionResponse: { name: 'f', response: { result: 'warm' } } }] }]);
  });

  it.each(PROTOCOLS)('%s says nothing of what is not set', (protocol) => {
    const body = JSON.stringify(SPEECH[protocol].request(draft({ stream: false })).body);
    for (const word of ['temperature', 'tools', 'thinking', 'effort', 'stream', 'system', 'instructions', 'undefined', 'null']) expect(body, word).not.toContain(`"${word}`);
  });

  it.each(PROTOCOLS)('%s gives back what a model said as it was, to the same protocol only', (protocol) => {
    const turn: Turn = { role: 'assistant', parts: [{ kind: 'text', text: 'seen' }], native: { protocol, content: protocol === 'chat' ? { role: 'assistant', content: 'kept' } : [{ text: 'kept' }] } };
    for (const other of PROTOCOLS) {
      const body = JSON.stringify(SPEECH[other].request(draft({ turns: [turn] })).body);
      expect(body.includes('kept'), other).toBe(other === protocol);
      expect(body.includes('seen'), other).toBe(other !== protocol);
    }
  });
});
