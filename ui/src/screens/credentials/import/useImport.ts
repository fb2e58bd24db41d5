import { useCallback, useEffect, useRef, useState } from 'react';

import { authStore } from '../../../api/auth';
import { authHeaders } from '../../../api/client';
import { withQuery } from '../../../api/list';
import { Problem } from '../../../api/problem';
import { useRefresh } from '../../../api/query';
import { batchesOf } from './batches';
import { type Item, type LineKind, masked, parse } from './parse';

/** What the gateway says of one entry. */
export interface Told {
  index: number;
  result: 'created' | 'duplicate' | 'invalid';
  label?: string | null;
  path?: string | null;
  message?: string | null;
}

export interface Row {
  /** Its place among all of them. */
  n: number;
  at: number;
  shown: string;
  result: Told['result'] | 'waiting';
  message?: string;
  label?: string;
  /** What was pasted: only as long as the dialog is open. */
  item: Item;
}

/** Sends one part, and tells what became of each of its entries. */
export type Send = (entries: Record<string, unknown>[], provider: string, signal: AbortSignal) => Promise<{ results: Told[]; hydrated?: number; hydrate_failed?: number }>;

export interface Counts {
  created: number;
  duplicate: number;
  invalid: number;
  waiting: number;
  hydrated: number;
  notHydrated: number;
}

const AGAIN = 3;
const PAUSE = 2_000;
const NOTHING: Counts = { created: 0, duplicate: 0, invalid: 0, waiting: 0, hydrated: 0, notHydrated: 0 };

export async function postJson<T>(path: string, query: Record<string, string>, body: unknown, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(withQuery(path, query), {
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
  return (await response.json()) as T;
}

/** What is sent to the credentials of a provider. */
export const sendCredentials: Send = (entries, provider, signal) => postJson('/admin/api/credentials/import', { provider }, entries, signal);

/** A database that is busy for a moment refuses a part as a whole (503): it is sent again, a little later. */
async function patiently<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let left = AGAIN; ; left -= 1) {
    try {
      return await act();
    } catch (error) {
      if (left === 0 || signal.aborted || Problem.of(error).status !== 503) throw error;
      await new Promise((go) => setTimeout(go, PAUSE));
      signal.throwIfAborted();
    }
  }
}

/** An import in parts: what was sent, what became of it, and what is left when something goes wrong. */
export function useImport(send: Send, options: { most?: number; words: Record<NonNullable<Item['wrong']>, string>; refreshes: string[] }) {
  const refresh = useRefresh();
  const running = useRef<AbortController | undefined>(undefined);
  const rows = useRef<Row[]>([]);
  const [state, setState] = useState<{ phase: 'input' | 'reading' | 'sending' | 'stopped' | 'done'; counts: Counts; read: number; problem?: Problem }>({
    phase: 'input',
    counts: NOTHING,
    read: 0,
  });
  useEffect(() => () => running.current?.abort(), []);

  const sendAll = useCallback(
    async (provider: string, stop: AbortController, counts: Counts) => {
      const waiting = rows.current.filter((row) => row.result === 'waiting');
      const byItem = new Map(waiting.map((row) => [row.item, row]));
      setState((now) => ({ ...now, phase: 'sending', counts: { ...counts }, problem: undefined }));
      try {
        for (const batch of batchesOf(waiting.map((row) => row.item), options.most)) {
          const told = await patiently(() => send(batch.map((item) => item.entry ?? {}), provider, stop.signal), stop.signal);
          for (const one of told.results) {
            const row = byItem.get(batch[one.index] as Item);
            if (!row) continue;
            row.result = one.result;
            row.label = one.label ?? undefined;
            row.message = [one.path, one.message].filter(Boolean).join(': ') || undefined;
            counts[one.result] += 1;
            counts.waiting -= 1;
          }
          counts.hydrated += told.hydrated ?? 0;
          counts.notHydrated += told.hydrate_failed ?? 0;
          setState((now) => ({ ...now, counts: { ...counts } }));
        }
        setState((now) => ({ ...now, phase: 'done' }));
      } catch (error) {
        setState((now) => ({ ...now, phase: 'stopped', problem: stop.signal.aborted ? undefined : Problem.of(error) }));
      } finally {
        void refresh(...options.refreshes);
      }
    },
    [send, options, refresh],
  );

  const start = useCallback(
    async (text: string, kind: LineKind, provider: string) => {
      const stop = new AbortController();
      running.current = stop;
      setState({ phase: 'reading', counts: NOTHING, read: 0 });
      try {
        const { items } = await parse(text, kind, stop.signal, (read) => setState((now) => ({ ...now, read })));
        rows.current = items.map((item, n) => ({
          n,
          at: item.at,
          shown: masked(item.entry),
          item,
          result: item.wrong ? 'invalid' : 'waiting',
          message: item.wrong && options.words[item.wrong],
        }));
      } catch {
        setState({ phase: 'input', counts: NOTHING, read: 0 });
        return;
      }
      const invalid = rows.current.filter((row) => row.result === 'invalid').length;
      await sendAll(provider, stop, { ...NOTHING, invalid, waiting: rows.current.length - invalid });
    },
    [sendAll, options.words],
  );

  return {
    ...state,
    rows: rows.current,
    start,
    /** Sends what has not been sent yet. */
    goOn: (provider: string) => {
      const stop = new AbortController();
      running.current = stop;
      return sendAll(provider, stop, { ...state.counts });
    },
    cancel: () => running.current?.abort(),
    /** Lets go of everything that was pasted. */
    clear: () => {
      running.current?.abort();
      rows.current = [];
      setState({ phase: 'input', counts: NOTHING, read: 0 });
    },
  };
}
