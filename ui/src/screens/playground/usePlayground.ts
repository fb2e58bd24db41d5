import { useEffect, useRef, useSyncExternalStore } from 'react';

import { beforeSignOut } from '../../app/session';
import { cutAt, draftOf, ended, type Lane, newLane, openCalls, readRaw, readTools, say, type Settings, SETTINGS, typedOf } from './conversation';
import { begun, exchange, type Exchange } from './exchange';
import type { Handover } from './handover';
import { SPEECH } from './protocols';
import { geminiPath } from './protocols/gemini';
import type { ClientProtocol, Image, Part, Tool } from './protocols/neutral';

export interface Playground {
  lanes: Lane[];
  settings: Settings;
  input: string;
  images: Image[];
  /** A body that is written by hand takes the conversation's place. */
  raw: string | null;
  /** Which request was handed over. */
  from: string | null;
}

const START: Playground = { lanes: [newLane('chat', '')], settings: SETTINGS, input: '', images: [], raw: null, from: null };

// It outlives the screen, so that one can look something up elsewhere; it does not outlive the session.
let state = START;
let ids = 0;
const listeners = new Set<() => void>();
const running = new Map<number, AbortController>();

function set(next: Partial<Playground>) {
  state = { ...state, ...next };
  for (const listener of listeners) listener();
}

function setLane(at: number, change: (lane: Lane) => Lane) {
  set({ lanes: state.lanes.map((lane, index) => (index === at ? change(lane) : lane)) });
}

function stopAll() {
  for (const controller of running.values()) controller.abort();
  running.clear();
}

beforeSignOut(async () => {
  stopAll();
  set(START);
});

function tools(): Tool[] | null {
  if (!state.settings.useTools) return [];
  const read = readTools(state.settings.tools);
  return 'tools' in read ? read.tools : null;
}

/** Which model is asked for: protocols but Gemini say it in the body. */
function modelOf(lane: Lane, { raw }: Playground): string {
  if (raw === null || lane.protocol === 'gemini') return lane.model;
  const read = readRaw(raw);
  return 'body' in read && typeof read.body.model === 'string' ? read.body.model : lane.model;
}

/** A body that is written by hand with another model in it; as it was if it cannot be read. */
function withModel(raw: string, model: string): string {
  const read = readRaw(raw);
  return 'body' in read ? JSON.stringify({ ...read.body, model }, null, 2) : raw;
}

/** The request that a lane would send now. */
export function wireOf(lane: Lane, { settings, raw }: Playground): { path: string; body: Record<string, unknown>; stream: boolean } | null {
  if (raw !== null) {
    const read = readRaw(raw);
    if ('wrong' in read) return null;
    const stream = lane.protocol === 'gemini' ? settings.stream : read.body.stream === true;
    const path = lane.protocol === 'gemini' ? geminiPath(lane.model, stream) : SPEECH[lane.protocol].request(draftOf(lane, settings, [])).path;
    return { path, body: read.body, stream };
  }
  const list = tools();
  if (list === null) return null;
  return { ...SPEECH[lane.protocol].request(draftOf(lane, settings, list)), stream: settings.stream };
}

/** Asks one target, and takes its answer into the conversation. */
async function ask(at: number, key: string | null): Promise<void> {
  const lane = state.lanes[at];
  const wire = lane && wireOf(lane, state);
  if (!lane || !wire) return;
  running.get(at)?.abort();
  const controller = new AbortController();
  running.set(at, controller);
  const { raw } = state;
  const model = modelOf(lane, state);
  // By hand: as it was written, to the last character.
  const sent = { protocol: lane.protocol, model, path: wire.path, body: raw ?? JSON.stringify(wire.body), key };
  const current = () => running.get(at) === controller;
  setLane(at, (lane) => ({ ...lane, running: begun(sent), last: null }));
  const end = await exchange(sent, controller.signal, (now) => current() && setLane(at, (lane) => ({ ...lane, running: now })));
  if (!current()) return;
  running.delete(at);
  setLane(at, (lane) => (raw !== null ? { ...lane, running: null, last: end } : ended(lane, ++ids, end)));
}

export function usePlayground(key: string | null) {
  const now = useSyncExternalStore((listener) => (listeners.add(listener), () => listeners.delete(listener)), () => state);
  const latest = useRef(key);
  latest.current = key;
  // Nobody looks any more: what has come so far stays.
  useEffect(() => () => {
    for (const controller of running.values()) controller.abort();
  }, []);
  // Another key: that the one before was refused says nothing any more.
  useEffect(() => {
    if (state.lanes.some((lane) => lane.last?.fault === 'client_auth')) set({ lanes: state.lanes.map((lane) => (lane.last?.fault === 'client_auth' ? { ...lane, last: null } : lane)) });
  }, [key]);
  const askAll = () => state.lanes.forEach((_, at) => void ask(at, latest.current));
  return {
    ...now,
    busy: now.lanes.some((lane) => lane.running !== null),
    set,
    setSettings: (next: Partial<Settings>) => set({ settings: { ...state.settings, ...next } }),
    setTarget: (at: number, next: { protocol?: ClientProtocol; model?: string }) => {
      setLane(at, (lane) => ({ ...lane, ...next }));
      if (state.raw !== null && next.model !== undefined && state.lanes[at]?.protocol !== 'gemini') set({ raw: withModel(state.raw, next.model) });
    },
    modelOf: (lane: Lane) => modelOf(lane, state),
    /** Says what was typed to every target. */
    send: () => {
      if (state.raw !== null) return void ask(0, latest.current);
      const parts: Part[] = [...(state.input.trim() ? [{ kind: 'text' as const, text: state.input }] : []), ...state.images];
      if (parts.length === 0 || tools() === null) return undefined;
      ids += 1;
      set({ lanes: state.lanes.map((lane) => say(lane, ids, parts)), input: '', images: [] });
      return askAll();
    },
    again: (at: number) => void ask(at, latest.current),
    /** Goes on after tools were called. */
    giveResults: (at: number, results: string[]) => {
      const lane = state.lanes[at];
      if (!lane) return;
      const parts = openCalls(lane).map(({ id, name }, index): Part => ({ kind: 'result', id, name, text: results[index] ?? '' }));
      ids += 1;
      setLane(at, (lane) => say(lane, ids, parts));
      void ask(at, latest.current);
    },
    /** Takes a turn back into the field, with everything after it. */
    edit: (at: number, id: number) => {
      const turn = state.lanes[at]?.turns.find((turn) => turn.id === id);
      if (!turn) return;
      stopAll();
      const { text, images } = typedOf(turn);
      set({ lanes: state.lanes.map((lane) => cutAt(lane, id)), input: text, images });
    },
    /** Asks anew what was asked with this turn. */
    resend: (at: number, id: number) => {
      const turn = state.lanes[at]?.turns.find((turn) => turn.id === id);
      if (!turn) return;
      running.get(at)?.abort();
      running.delete(at);
      setLane(at, (lane) => say(cutAt(lane, id), id, turn.parts));
      void ask(at, latest.current);
    },
    stop: () => {
      for (const controller of running.values()) controller.abort();
    },
    clear: () => {
      stopAll();
      set({ lanes: state.lanes.map((lane) => newLane(lane.protocol, lane.model)), from: null });
    },
    compare: (on: boolean) => {
      const [first, second] = state.lanes;
      if (!first) return;
      running.get(1)?.abort();
      running.delete(1);
      // The second target is told what was said to the first, and answers from now on.
      set({ lanes: on ? [first, second ?? { ...newLane(first.protocol, first.model), turns: first.turns }] : [first], raw: null });
    },
    toRaw: (on: boolean) => {
      const lane = state.lanes[0];
      const wire = lane && wireOf(lane, state);
      set({ raw: on ? JSON.stringify(wire?.body ?? {}, null, 2) : null, lanes: state.lanes.slice(0, 1).map((lane) => ({ ...lane, last: null })), from: null });
    },
    takeUp: ({ protocol, body, model, stream, from }: Handover) => {
      stopAll();
      const read = readRaw(body);
      set({ lanes: [newLane(protocol, model)], raw: 'body' in read ? JSON.stringify(read.body, null, 2) : body, from, settings: { ...state.settings, stream } });
    },
  };
}

export type PlaygroundState = ReturnType<typeof usePlayground>;

/** What is looked at beside a lane: what is under way, or what ended last. */
export function shownOf(lane: Lane): Exchange | null {
  return lane.running ?? lane.last;
}
