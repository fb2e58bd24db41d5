import { authHeaders } from './client';
import { authStore } from './auth';
import { Problem } from './problem';

/** One server-sent event. */
export interface ServerEvent {
  event: string;
  data: string;
  id?: string;
}

/** Cuts a body into server-sent events as they come (WHATWG HTML, section 9.2.6). */
export async function* serverEvents(body: ReadableStream<Uint8Array>, onBytes?: () => void): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let current: { event: string; data: string[]; id?: string } = { event: 'message', data: [] };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      onBytes?.();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the very end may be the first half of a line's end.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (current.data.length > 0) yield { event: current.event, data: current.data.join('\n'), id: current.id };
          current = { event: 'message', data: [] };
          continue;
        }
        const colon = line.indexOf(':');
        const name = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (name === 'event') current.event = text;
        else if (name === 'data') current.data.push(text);
        else if (name === 'id') current.id = text;
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The gateway says that it is alive every 15 seconds. What is silent for three times as long is not: the other end may be gone without a word. */
export const QUIET = 45_000;

/** How a subscription fares. */
export type LiveState = 'connecting' | 'live' | 'lost';

/**
 * Follows an endpoint of server-sent events until `signal` ends it, and comes back after every end, sooner at first than later.
 *
 * Not `EventSource`: that one cannot show an admin key, and hides why it was refused.
 */
export async function follow(
  path: string,
  signal: AbortSignal,
  onEvent: (event: ServerEvent) => void,
  onState: (state: LiveState, problem?: Problem) => void,
): Promise<void> {
  let wait = 500;
  while (!signal.aborted) {
    onState('connecting');
    const silence = new AbortController();
    let live = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), QUIET);
    };
    alive();
    try {
      const response = await fetch(path, { signal: AbortSignal.any([signal, silence.signal]), headers: { accept: 'text/event-stream', ...authHeaders('GET') } });
      if (!response.ok || !response.body) throw await Problem.from(response);
      live = true;
      onState('live');
      wait = 500;
      for await (const event of serverEvents(response.body, alive)) onEvent(event);
    } catch (error) {
      if (signal.aborted) return;
      // Whether it is lost shows at once, when it is asked for again.
      if (silence.signal.aborted && live) continue;
      const problem = error instanceof Problem ? error : Problem.offline(error);
      onState('lost', problem);
      if (problem.signedOut) authStore.expire();
      wait = Math.min(wait * 2, 15_000);
    } finally {
      clearTimeout(timer);
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}
