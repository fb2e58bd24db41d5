import { serverEvents } from '../../api/stream';
import { SPEECH } from './protocols';
import { readError } from './protocols/error';
import { parse } from './protocols/json';
import { type Answer, type ApiError, type ClientProtocol, emptyAnswer } from './protocols/neutral';

/** An event as it came: so many milliseconds after the request was sent. */
export interface RawEvent {
  at: number;
  event: string;
  data: string;
}

export type State = 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed';

/** A request and what has come of it. */
export interface Exchange {
  protocol: ClientProtocol;
  model: string;
  path: string;
  /** The body as it was sent. */
  sent: string;
  state: State;
  status: number | null;
  answer: Answer;
  /** Grows while events come: how many there are is told by `came`. */
  events: RawEvent[];
  came: number;
  /** Events that are not kept, because there are too many. */
  dropped: number;
  /** An answer that came as a whole, as it was. */
  body: string | null;
  firstMs: number | null;
  totalMs: number | null;
  requestId: string | null;
  target: string | null;
  attempts: number | null;
  /** `x-polyport-loss`. */
  losses: string | null;
  /** `x-polyport-error`: the kind of error in the gateway's own word. */
  fault: string | null;
  retryAfter: string | null;
  problem: ApiError | null;
  /** The answer as its protocol wants it back. */
  native: unknown;
}

export interface Sent {
  protocol: ClientProtocol;
  model: string;
  path: string;
  body: string;
  /** None where the gateway needs none. */
  key: string | null;
}

/** What is kept of events at most. */
const MOST_EVENTS = 20_000;
const MOST_CHARACTERS = 8_000_000;

/** The reader is shown so often how far an answer has come. */
const EVERY = 50;

export function begun(sent: Sent): Exchange {
  return {
    protocol: sent.protocol, model: sent.model, path: sent.path, sent: sent.body, state: 'waiting', status: null, answer: emptyAnswer(), events: [], came: 0,
    dropped: 0, body: null, firstMs: null, totalMs: null, requestId: null, target: null, attempts: null, losses: null, fault: null, retryAfter: null,
    problem: null, native: null,
  };
}

/** Sends a request and tells how it goes until it has ended, one way or another. Never throws. */
export async function exchange(sent: Sent, signal: AbortSignal, onChange: (now: Exchange) => void): Promise<Exchange> {
  const started = performance.now();
  const since = () => Math.round((performance.now() - started) * 10) / 10;
  const speech = SPEECH[sent.protocol];
  const reader = speech.reader();
  let now = begun(sent);
  let told = 0;
  let later: ReturnType<typeof setTimeout> | undefined;
  const tell = (force: boolean) => {
    const early = EVERY - (performance.now() - told);
    if (!force && early > 0) {
      // Who streams may pause: what came last is not kept back until it goes on.
      later ??= setTimeout(() => tell(true), early);
      return;
    }
    clearTimeout(later);
    later = undefined;
    told = performance.now();
    now = { ...now, answer: { ...reader.answer, parts: reader.answer.parts.map((part) => ({ ...part })) } };
    onChange(now);
  };
  try {
    const response = await fetch(sent.path, {
      method: 'POST',
      body: sent.body,
      signal,
      // The gateway's own cookie is nothing to these endpoints.
      credentials: 'omit',
      headers: { 'content-type': 'application/json', ...(sent.key ? speech.headers(sent.key) : {}) },
    });
    const header = (name: string) => response.headers.get(name);
    now = {
      ...now,
      status: response.status,
      requestId: header('x-request-id') ?? header('request-id'),
      target: header('x-polyport-target'),
      attempts: Number(header('x-polyport-attempts')) || null,
      losses: header('x-polyport-loss'),
      fault: header('x-polyport-error'),
      retryAfter: header('retry-after'),
    };
    if (response.body && header('content-type')?.startsWith('text/event-stream')) {
      now = { ...now, state: 'streaming' };
      tell(true);
      let characters = 0;
      for await (const { event, data } of serverEvents(response.body)) {
        const at = since();
        characters += data.length;
        if (now.events.length < MOST_EVENTS && characters < MOST_CHARACTERS) now.events.push({ at, event, data });
        else now.dropped += 1;
        now.came += 1;
        const value = data === '[DONE]' ? undefined : parse(data);
        if (value !== undefined) reader.push(value);
        if (now.firstMs === null && reader.answer.parts.length > 0) now.firstMs = at;
        tell(false);
      }
    } else {
      const body = await response.text();
      now = { ...now, body };
      const value = parse(body);
      if (response.ok && value !== undefined) reader.whole(value);
      else now = { ...now, problem: readError(value ?? body) ?? { message: `HTTP ${response.status}` } };
    }
    const problem = now.problem ?? reader.answer.error;
    now = { ...now, state: problem ? 'failed' : 'done', problem, native: reader.native() };
  } catch (error) {
    if (signal.aborted) now = { ...now, state: 'stopped', native: reader.native() };
    else now = { ...now, state: 'failed', fault: 'offline', problem: { message: error instanceof Error ? error.message : String(error) }, native: reader.native() };
  }
  now = { ...now, totalMs: since() };
  tell(true);
  return now;
}
