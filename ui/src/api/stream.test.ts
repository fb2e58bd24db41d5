import { describe, expect, it } from 'vitest';

import { serverEvents } from './stream';

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
