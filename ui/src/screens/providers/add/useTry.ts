import { useCallback, useEffect, useRef, useState } from 'react';

import { authStore } from '../../../api/auth';
import { authHeaders } from '../../../api/client';
import { Problem } from '../../../api/problem';

/** What the gateway found when it asked a provider that nothing is saved of. */
export interface Tried {
  outcome: 'answered' | 'refused' | 'failed' | 'timeout';
  took_ms: number;
  status?: number | null;
  models?: string[] | null;
  model?: string | null;
  answer?: string | null;
  code?: string | null;
  message?: string | null;
  remedy?: string | null;
}

export interface TryBody {
  provider: Record<string, unknown> | string;
  credential?: Record<string, unknown>;
  model?: string;
  timeout_ms?: number;
}

async function ask(body: TryBody, signal: AbortSignal): Promise<Tried> {
  let response: Response;
  try {
    response = await fetch('/admin/api/providers/try', {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', ...authHeaders('POST') },
      body: JSON.stringify(body),
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw Problem.offline(error);
  }
  if (!response.ok) {
    const problem = await Problem.from(response);
    if (problem.signedOut) authStore.expire();
    throw problem;
  }
  return (await response.json()) as Tried;
}

/** A real call to a provider, which may take long: how long it has taken so far, and a way to give it up. */
export function useTry() {
  const [state, setState] = useState<{ since?: number; result?: Tried; problem?: Problem; given?: boolean }>({});
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const run = useCallback(async (body: TryBody): Promise<Tried | undefined> => {
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    setState({ since: Date.now() });
    try {
      const result = await ask(body, stop.signal);
      if (running.current === stop) setState({ result });
      return result;
    } catch (error) {
      if (running.current === stop) setState(stop.signal.aborted ? { given: true } : { problem: Problem.of(error) });
      return undefined;
    } finally {
      if (running.current === stop) running.current = undefined;
    }
  }, []);
  const cancel = useCallback(() => running.current?.abort(), []);
  const reset = useCallback(() => {
    running.current?.abort();
    running.current = undefined;
    setState({});
  }, []);
  return { ...state, pending: state.since !== undefined, run, cancel, reset };
}
