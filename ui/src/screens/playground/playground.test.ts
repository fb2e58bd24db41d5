import { afterEach, describe, expect, it, vi } from 'vitest';

import { caughtUp, cutAt, cutsAnswer, draftOf, ended, EXAMPLE, newLane, nextOf, openCalls, readRaw, readTools, say, SETTINGS, typedOf, unanswered } from './conversation';
import { begun, exchange, type Exchange, type Sent } from './exchange';
import { better, speed } from './figures';
import { handOver, takeOver } from './handover';
import { MOST_BYTES, MOST_IMAGES, sortFiles } from './images';
import { PROTOCOLS } from './protocols/neutral';
import { LANGUAGES, pythonValue, shorten, snippet } from './snippets';

const SENT: Sent = { protocol: 'chat', model: 'm', path: '/v1/chat/completions', body: '{"model":"m"}', key: 'pp-secret' };

describe('conversations', () => {
  const done = (more: Partial<Exchange> = {}): Exchange => ({ ...begun(SENT), state: 'done', native: { role: 'assistant', content: 'Hi' }, answer: { parts: [{ kind: 'text', text: 'Hi' }], finish: 'stop', usage: null, model: 'm', error: null }, ...more });
  const asked = say(newLane('chat', 'm'), 1, [{ kind: 'text', text: 'Hello' }]);

  it('takes an answer in, as it was written', () => {
    const lane = ended(asked, 2, done());
    expect(lane.turns.map(({ id, role, native }) => [id, role, native])).toEqual([[1, 'user', undefined], [2, 'assistant', { protocol: 'chat', content: { role: 'assistant', content: 'Hi' } }]]);
    expect(unanswered(lane)).toBe(false);
  });

  it('keeps what was said where the answer failed or was stopped before it began', () => {
    for (const state of ['failed', 'stopped'] as const) {
      const lane = ended(asked, 2, done({ state, answer: { ...begun(SENT).answer } }));
      expect(lane.turns).toHaveLength(1);
      expect([lane.last?.state, unanswered(lane)]).toEqual([state, true]);
    }
  });

  it('keeps what had come of a stopped answer, without what is not whole', () => {
    const parts = [{ kind: 'text' as const, text: 'Hal' }, { kind: 'call' as const, id: 'c', name: 'f', args: '{"x' }];
    const lane = ended(asked, 2, done({ state: 'stopped', answer: { parts, finish: null, usage: null, model: null, error: null } }));
    expect([lane.turns[1]?.parts, lane.turns[1]?.native]).toEqual([[parts[0]], undefined]);
    expect(openCalls(lane)).toEqual([]);
  });

  it('keeps what went over the wire of the last exchange only', () => {
    const more = { events: [{ at: 1, event: 'message', data: '{}' }], body: '{}' };
    const lane = ended(say(ended(asked, 2, done(more)), 3, []), 4, done(more));
    expect(lane.turns.map(({ exchange }) => exchange && [exchange.events.length, exchange.sent, exchange.body])).toEqual([undefined, [0, '', null], undefined, [1, SENT.body, '{}']]);
  });

  it('tells the second target what the first has heard since', () => {
    const text = [{ kind: 'text' as const, text: 'More' }];
    const first = say(ended(asked, 3, done()), 4, text);
    expect(caughtUp(newLane('chat', ''), first)).toMatchObject({ protocol: 'chat', model: 'm', turns: [{ id: 1 }, { id: 3 }, { id: 4 }] });
    const second = ended({ ...asked, protocol: 'gemini', model: 'other' }, 2, done());
    expect(caughtUp(second, ended(asked, 3, done()))).toBe(second);
    expect(caughtUp(second, first)).toMatchObject({ model: 'other', turns: [{ id: 1 }, { id: 2 }, { id: 4 }] });
    expect(caughtUp(second, say(asked, 4, [{ kind: 'result', id: 'c', name: 'f', text: '' }]))).toBe(second);
  });

  it('knows whether an answer goes with a turn', () => {
    const lane = say(ended(asked, 2, done()), 3, []);
    expect([cutsAnswer(lane, 1), cutsAnswer(lane, 3), cutsAnswer(lane, 9)]).toEqual([true, false, false]);
  });

  it('goes back to where something was said', () => {
    const lane = say(ended(asked, 2, done()), 3, [{ kind: 'text', text: 'More' }]);
    expect(cutAt(lane, 3).turns.map(({ id }) => id)).toEqual([1, 2]);
    expect(cutAt(lane, 9)).toBe(lane);
    expect(typedOf({ role: 'user', parts: [{ kind: 'text', text: 'a' }, { kind: 'image', type: 'image/png', data: 'A' }, { kind: 'text', text: 'b' }] })).toEqual({ text: 'a\nb', images: [{ kind: 'image', type: 'image/png', data: 'A' }] });
  });

  it('asks next with what is typed, with results of tools, as it was asked last, or with an example', () => {
    const texts = (lane: ReturnType<typeof nextOf>) => lane.turns.map(({ role, parts }) => `${role}: ${parts.map((part) => ('text' in part ? part.text : part.kind)).join()}`);
    const answered = ended(asked, 2, done());
    expect(texts(nextOf(answered, 'More', []))).toEqual(['user: Hello', 'assistant: Hi', 'user: More']);
    expect(texts(nextOf(answered, ' ', []))).toEqual(['user: Hello']);
    expect(texts(nextOf(newLane('chat', 'm'), '', []))).toEqual([`user: ${EXAMPLE}`]);
    const called = ended(asked, 2, done({ answer: { ...begun(SENT).answer, parts: [{ kind: 'call', id: 'c', name: 'f', args: '{}' }] } }));
    expect(texts(nextOf({ ...called, results: ['sunny'] }, '', []))).toEqual(['user: Hello', 'assistant: call', 'user: sunny']);
  });

  it('reads settings as they are typed', () => {
    const draft = draftOf(asked, { ...SETTINGS, maxTokens: '12', temperature: '0', reasoning: 'budget', budget: '' }, [{ name: 'f', parameters: {} }]);
    expect(draft).toMatchObject({ maxTokens: 12, temperature: 0, reasoning: { by: 'budget', tokens: 0 }, tools: [] });
    expect(draftOf(asked, { ...SETTINGS, maxTokens: 'x' }, [])).toMatchObject({ maxTokens: null, reasoning: { by: 'default' } });
  });

  it('reads tools of every protocol', () => {
    const f = { name: 'f', parameters: { type: 'object' } };
    expect(readTools(JSON.stringify([f, { type: 'function', function: f }, { name: 'f', input_schema: f.parameters }, { functionDeclarations: [f] }]))).toEqual({ tools: [f, f, f, f] });
    expect([readTools('['), readTools('{}'), readTools('[{"name":"f"},{}]')]).toEqual([{ wrong: 'json' }, { wrong: 'list' }, { wrong: 'name', at: 2 }]);
  });

  it('tells what is wrong with a body', () => {
    expect(readRaw('{"a":1}')).toEqual({ body: { a: 1 } });
    expect(readRaw('[]')).toEqual({ wrong: 'object' });
    expect(readRaw('{')).toHaveProperty('wrong');
  });

  it('hands a request over once', () => {
    handOver({ protocol: 'chat', body: '{}', model: 'm', stream: false, from: 'req_1' });
    expect(takeOver()?.from).toBe('req_1');
    expect(takeOver()).toBeUndefined();
  });
});

describe('exchanges', () => {
  afterEach(() => vi.unstubAllGlobals());
  const answer = (body: BodyInit, headers: Record<string, string>, status = 200) => vi.stubGlobal('fetch', vi.fn(async () => new Response(body, { status, headers })));

  it('reads a stream, keeps its events with their times, and shows no cookie', async () => {
    answer('data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n', {
      'content-type': 'text/event-stream', 'x-request-id': 'req_1', 'x-polyport-target': 'p/m', 'x-polyport-attempts': '2', 'x-polyport-loss': 'a.b;dropped',
    });
    const seen: string[] = [];
    const end = await exchange(SENT, new AbortController().signal, (now) => seen.push(now.state));
    expect(end).toMatchObject({ state: 'done', status: 200, requestId: 'req_1', target: 'p/m', attempts: 2, losses: 'a.b;dropped', came: 3, answer: { finish: 'stop', parts: [{ kind: 'text', text: 'Hi' }] } });
    expect(end.events.map(({ data }) => data).at(-1)).toBe('[DONE]');
    expect(end.firstMs).toBeLessThanOrEqual(end.totalMs ?? 0);
    expect(seen.at(-1)).toBe('done');
    expect(vi.mocked(fetch).mock.calls[0]?.[1]).toMatchObject({ credentials: 'omit', body: SENT.body, headers: { authorization: 'Bearer pp-secret' } });
  });

  it('tells an error in the protocol’s words', async () => {
    answer('{"error":{"message":"unknown model","type":"invalid_request_error","code":"model_not_found"}}', { 'content-type': 'application/json', 'x-polyport-error': 'model_not_found', 'retry-after': '3' }, 404);
    const end = await exchange(SENT, new AbortController().signal, () => undefined);
    expect(end).toMatchObject({ state: 'failed', status: 404, fault: 'model_not_found', retryAfter: '3', problem: { message: 'unknown model', code: 'model_not_found' } });
  });

  it('tells an error inside a stream, and keeps what came before it', async () => {
    answer('data: {"choices":[{"delta":{"content":"Hal"}}]}\n\ndata: {"error":{"message":"lost"}}\n\n', { 'content-type': 'text/event-stream' });
    expect(await exchange(SENT, new AbortController().signal, () => undefined)).toMatchObject({ state: 'failed', problem: { message: 'lost' }, answer: { parts: [{ kind: 'text', text: 'Hal' }] } });
  });

  it('takes a page of somebody else for a failure', async () => {
    answer('<html>Bad gateway</html>', { 'content-type': 'text/html' }, 502);
    expect(await exchange(SENT, new AbortController().signal, () => undefined)).toMatchObject({ state: 'failed', problem: { message: '<html>Bad gateway</html>' } });
  });

  it('shows what came last while nothing more comes', async () => {
    const text = (content: string) => new TextEncoder().encode(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
    let go = () => {};
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(text('Hal'));
        controller.enqueue(text('lo'));
        go = () => controller.close();
      },
    });
    answer(stream, { 'content-type': 'text/event-stream' });
    const shown = vi.fn();
    const ending = exchange(SENT, new AbortController().signal, ({ answer }) => shown(answer.parts.map((part) => 'text' in part && part.text).join('')));
    await vi.waitFor(() => expect(shown).toHaveBeenLastCalledWith('Hallo'));
    go();
    expect((await ending).state).toBe('done');
  });

  it('is stopped while nobody answers', async () => {
    vi.stubGlobal('fetch', (_: string, { signal }: { signal: AbortSignal }) => new Promise((_done, fail) => signal.addEventListener('abort', () => fail(new DOMException('', 'AbortError')))));
    const controller = new AbortController();
    const end = exchange(SENT, controller.signal, () => undefined);
    controller.abort();
    expect(await end).toMatchObject({ state: 'stopped', problem: null });
  });

  it('says so where the gateway does not answer', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    expect(await exchange(SENT, new AbortController().signal, () => undefined)).toMatchObject({ state: 'failed', fault: 'offline' });
  });
});

describe('figures and files', () => {
  it('measures from the first token', () => {
    const usage = { input: 1, cacheRead: null, cacheWrite: null, output: 50, reasoning: null };
    expect(speed({ answer: { ...begun(SENT).answer, usage }, firstMs: 500, totalMs: 1500 })).toBe(50);
    expect(speed({ answer: { ...begun(SENT).answer, usage }, firstMs: null, totalMs: 1500 })).toBeNull();
    expect(speed({ answer: { ...begun(SENT).answer, usage }, firstMs: 1499, totalMs: 1500 })).toBeNull();
  });

  it('tells which is better', () => {
    expect([better(1, 2, 'less'), better(1, 2, 'more'), better(1, 1, 'less'), better(null, 1, 'less')]).toEqual([0, 1, null, null]);
  });

  it('takes images that every protocol takes', () => {
    const file = (name: string, type: string, size: number) => Object.defineProperty(new File([''], name, { type }), 'size', { value: size });
    const { good, refused } = sortFiles([file('a', 'image/png', 5), file('b', 'image/svg+xml', 5), file('c', 'image/png', MOST_BYTES + 1), file('d', 'image/webp', 5)], MOST_IMAGES - 1);
    expect(good.map(({ name }) => name)).toEqual(['a']);
    expect(refused).toEqual([{ name: 'b', why: 'type' }, { name: 'c', why: 'size' }, { name: 'd', why: 'many' }]);
  });
});

describe('snippets', () => {
  const asked = { address: 'http://127.0.0.1:7659', path: '/v1/chat/completions', model: 'm', stream: true, body: { model: 'm', stream: true, messages: [{ role: 'user', content: "it's \"so\"\n" }], temperature: 0, extra: null } };

  it.each(PROTOCOLS)('%s names the place of the key and the real address in every language', (protocol) => {
    for (const language of LANGUAGES) {
      const text = snippet(language, { ...asked, protocol });
      expect(text, language).toContain('YOUR_KEY');
      expect(text, language).toContain('http://127.0.0.1:7659');
      expect(text, language).not.toContain('undefined');
    }
  });

  it('quotes for the shell', () => {
    const text = snippet('curl', { ...asked, protocol: 'chat', path: "/v1beta/models/it's:generateContent" });
    expect(text).toContain(String.raw`'http://127.0.0.1:7659/v1beta/models/it'\''s:generateContent'`);
    expect(text).toContain("<<'JSON'");
    const body = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
    expect(JSON.parse(body)).toEqual(asked.body);
  });

  it('writes Python', () => {
    expect(pythonValue({ a: [true, null, 'x"y'], b: {} })).toBe('{\n    "a": [\n        True,\n        None,\n        "x\\"y",\n    ],\n    "b": {},\n}');
    expect(snippet('python', { ...asked, protocol: 'messages' })).toContain('client = Anthropic(base_url="http://127.0.0.1:7659", api_key="YOUR_KEY")\nstream = client.messages.create(\n    model="m",\n    stream=True,');
  });

  it('leaves long images out', () => {
    const long = 'A'.repeat(3000);
    expect(shorten({ url: `data:image/png;base64,${long}`, data: [long], text: `${long} words` })).toEqual({ url: 'data:image/png;base64,BASE64_OF_YOUR_IMAGE', data: ['BASE64_OF_YOUR_IMAGE'], text: `${long} words` });
  });
});
