import { describe, expect, it, vi } from 'vitest';

import { follow, QUIET, serverEvents } from './stream';

async function read(...chunks: string[]) {
  const encoder = new TextEncoder();
  const bytes = chunks.map((chunk) => encoder.encode(chunk));
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of bytes) controller.enqueue(chunk);
      controller.close();
    },
  });
  const found = [];
  for await (const event of serverEvents(body)) found.push([event.event, event.data]);
  return found;
}

describe('serverEvents', () => {
  it('reads events whatever pieces they come in', async () => {
    const text = 'event: a\r\ndata: 1\r\n\r\n: comment\ndata: two\ndata: lines\n\ndata:x\n\n';
    const expected = [['a', '1'], ['message', 'two\nlines'], ['message', 'x']];
    expect(await read(text)).toEqual(expected);
    expect(await read(...text)).toEqual(expected);
  });

  it('leaves out what never ended', async () => {
    expect(await read('data: whole\n\ndata: half')).toEqual([['message', 'whole']]);
  });
});

describe('follow', () => {
  it('comes back when nothing is heard for long, without a word, and says that it is lost when nobody answers', async () => {
    vi.useFakeTimers();
    const states: string[] = [];
    let asked = 0;
    vi.stubGlobal('fetch', async (_path: string, { signal }: { signal: AbortSignal }) => {
      asked += 1;
      if (asked > 1) throw new TypeError('failed');
      return new Response(new ReadableStream({ start: (body) => signal.addEventListener('abort', () => body.error(signal.reason)) }));
    });
    const ending = new AbortController();
    const followed = follow('/live', ending.signal, () => undefined, (state) => states.push(state));
    await vi.advanceTimersByTimeAsync(QUIET - 1_000);
    expect(states).toEqual(['connecting', 'live']);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(states).toEqual(['connecting', 'live', 'connecting', 'lost']);
    ending.abort();
    await followed;
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
});
