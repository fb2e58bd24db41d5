import { useEffect, useRef, useSyncExternalStore } from 'react';

import { personalTo } from '../../app/session';
import { caughtUp, cutAt, cutsAnswer, draftOf, ended, type Lane, newLane, nextOf, partsOf, readRaw, readTools, resultsOf, say, type Settings, SETTINGS, typedOf } from './conversation';
import { begun, exchange, type Exchange } from './exchange';
import type { Handover } from './handover';
import { readImage, type Refused, sortFiles } from './images';
import { SPEECH } from './protocols';
import { geminiPath } from './protocols/gemini';
import type { ClientProtocol, Image, Tool } from './protocols/neutral';

export interface Playground {
  /** The targets of the conversation, and the one that gets what is written by hand. Those that are not shown stay as they are. */
  lanes: readonly Lane[];
  /** The second target is asked as well. */
  two: boolean;
  /** A body that is written by hand takes the conversation's place. */
  byHand: boolean;
  settings: Settings;
  input: string;
  images: Image[];
  /** Images that are being read. */
  reading: number;
  raw: string;
  /** The body as it was made from the conversation, while nobody has written in it. */
  made: string;
  /** Which request was handed over. */
  from: string | null;
  /** How it was before something was thrown away, until the next message is sent. */
  undo: { what: 'clear' | 'cut' | 'raw'; before: Partial<Playground> } | null;
}

const [FIRST, SECOND, HAND] = [0, 1, 2];

const START: Playground = {
  lanes: [newLane('chat', ''), newLane('chat', ''), newLane('chat', '')], two: false, byHand: false, settings: SETTINGS, input: '', images: [], reading: 0, raw: '', made: '',
  from: null, undo: null,
};

// It outlives the screen, so that one can look something up elsewhere; it does not outlive the session.
let state = START;
let session = 0;
let ids = 0;
const listeners = new Set<() => void>();
const running = new Map<number, AbortController>();

function set(next: Partial<Playground>) {
  state = { ...state, ...next };
  for (const listener of listeners) listener();
}

function laneAt(at: number): Lane {
  return state.lanes[at] ?? newLane('chat', '');
}

function setLane(at: number, change: (lane: Lane) => Lane) {
  set({ lanes: state.lanes.map((lane, index) => (index === at ? change(lane) : lane)) });
}

/** The lanes that are shown, by their places. */
function shownAt({ byHand, two }: Playground): number[] {
  return byHand ? [HAND] : two ? [FIRST, SECOND] : [FIRST];
}

/** Ends what is under way without taking in what has come. */
function drop(at: number) {
  running.get(at)?.abort();
  running.delete(at);
  setLane(at, (lane) => ({ ...lane, running: null }));
}

function dropAll() {
  for (const at of [...running.keys()]) drop(at);
}

/** What is thrown away next can be brought back. */
function remember(what: 'clear' | 'cut' | 'raw') {
  const { lanes, two, byHand, input, images, raw, made, from } = state;
  set({ undo: { what, before: { lanes, two, byHand, input, images, raw, made, from } } });
}

personalTo(() => {
  session += 1;
  dropAll();
  set(START);
});

function tools(): Tool[] | null {
  if (!state.settings.useTools) return [];
  const read = readTools(state.settings.tools);
  return 'tools' in read ? read.tools : null;
}

type Shown = { settings: Settings; raw: string | null };
type Typed = Pick<Playground, 'input' | 'images'>;

/** What is written by hand, where that is shown. */
function shown({ settings, raw, byHand }: Playground): Shown {
  return { settings, raw: byHand ? raw : null };
}

/** Which model is asked for: protocols but Gemini say it in the body. */
function modelOf(lane: Lane, raw: string | null): string {
  if (raw === null || lane.protocol === 'gemini') return lane.model;
  const read = readRaw(raw);
  return 'body' in read && typeof read.body.model === 'string' ? read.body.model : lane.model;
}

/** A body that is written by hand with another model in it; as it was if it cannot be read. */
function withModel(raw: string, model: string): string {
  const read = readRaw(raw);
  return 'body' in read ? JSON.stringify({ ...read.body, model }, null, 2) : raw;
}

/** The request that a lane sends as it stands. */
export function wireOf(lane: Lane, { settings, raw }: Shown): { path: string; body: Record<string, unknown>; stream: boolean } | null {
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

/** The request that a lane would send next. */
export const nextWireOf = (lane: Lane, play: Shown & Typed) => wireOf(play.raw === null ? nextOf(lane, play.input, play.images) : lane, play);

/** Asks one target, and takes its answer into the conversation. */
async function ask(at: number, key: string | null): Promise<void> {
  const lane = laneAt(at);
  const raw = at === HAND ? state.raw : null;
  const wire = wireOf(lane, { settings: state.settings, raw });
  if (!wire) return;
  running.get(at)?.abort();
  const controller = new AbortController();
  running.set(at, controller);
  // By hand: as it was written, to the last character.
  const sent = { protocol: lane.protocol, model: modelOf(lane, raw), path: wire.path, body: raw ?? JSON.stringify(wire.body), key };
  const current = () => running.get(at) === controller;
  setLane(at, (lane) => ({ ...lane, running: begun(sent), last: null }));
  const end = await exchange(sent, controller.signal, (now) => current() && setLane(at, (lane) => ({ ...lane, running: now })));
  if (!current()) return;
  running.delete(at);
  setLane(at, (lane) => (raw !== null ? { ...lane, running: null, last: end } : ended(lane, ++ids, end)));
}

/** The body as the conversation would send it now. */
function bodyNow(): string {
  const lane = nextOf(laneAt(FIRST), state.input, state.images);
  return JSON.stringify(SPEECH[lane.protocol].request(draftOf(lane, state.settings, tools() ?? [])).body, null, 2);
}

/** Puts the body of the conversation in place of what was written by hand. */
function toBodyNow() {
  const { protocol, model } = laneAt(FIRST);
  const made = bodyNow();
  drop(HAND);
  setLane(HAND, () => newLane(protocol, model));
  set({ raw: made, made, from: null });
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
  const places = shownAt(now);
  const lanes = places.map((at) => now.lanes[at] ?? newLane('chat', ''));
  /** Acts on a lane by its place among those that are shown. */
  const on = <A extends unknown[]>(act: (at: number, ...args: A) => void) => (shown: number, ...args: A) => {
    const at = shownAt(state)[shown];
    if (at !== undefined) act(at, ...args);
  };
  const { raw } = shown(now);
  return {
    ...now,
    lanes,
    raw,
    /** It was written by hand, or handed over: it is not what the conversation says. */
    written: now.raw !== now.made,
    busy: lanes.some((lane) => lane.running !== null),
    /** What keeps a request from being made. */
    wrong: raw !== null ? ('wrong' in readRaw(raw) ? ('body' as const) : null) : tools() === null ? ('tools' as const) : null,
    setInput: (input: string) => set({ input }),
    setRaw: (raw: string) => set({ raw }),
    setSettings: (next: Partial<Settings>) => set({ settings: { ...state.settings, ...next } }),
    setTarget: on((at, next: { protocol?: ClientProtocol; model?: string }) => {
      setLane(at, (lane) => ({ ...lane, ...next }));
      if (at === HAND && next.model !== undefined && laneAt(at).protocol !== 'gemini') set({ raw: withModel(state.raw, next.model) });
    }),
    modelOf: (lane: Lane) => modelOf(lane, raw),
    /** Reads images, and tells which cannot be given. */
    addImages: async (files: readonly File[]): Promise<Refused[]> => {
      const { good, refused } = sortFiles(files, state.images.length + state.reading);
      const begunIn = session;
      set({ reading: state.reading + good.length });
      const read = await Promise.allSettled(good.map(readImage));
      if (begunIn !== session) return [];
      set({ reading: state.reading - good.length, images: [...state.images, ...read.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))] });
      return [...refused, ...read.flatMap((one, at): Refused[] => (one.status === 'rejected' ? [{ name: good[at]?.name ?? '', why: 'read' }] : []))];
    },
    removeImage: (at: number) => set({ images: state.images.toSpliced(at, 1) }),
    /** Says what was typed to every target. */
    send: () => {
      if (!state.byHand) {
        const parts = partsOf(state.input, state.images);
        if (parts.length === 0 || state.reading > 0 || tools() === null) return;
        ids += 1;
        for (const at of shownAt(state)) setLane(at, (lane) => say(lane, ids, parts));
        set({ input: '', images: [] });
      }
      set({ undo: null });
      for (const at of shownAt(state)) void ask(at, latest.current);
    },
    again: on((at) => void ask(at, latest.current)),
    setResults: on((at, results: readonly string[]) => setLane(at, (lane) => ({ ...lane, results }))),
    /** Goes on after tools were called. */
    giveResults: on((at) => {
      ids += 1;
      setLane(at, (lane) => say(lane, ids, resultsOf(lane)));
      void ask(at, latest.current);
    }),
    /** Takes a turn back into the field, with everything after it. */
    edit: on((at, id: number) => {
      const turn = laneAt(at).turns.find((turn) => turn.id === id);
      if (!turn) return;
      const places = shownAt(state);
      places.forEach(drop);
      if (state.input.trim() !== '' || state.images.length > 0 || places.some((at) => cutsAnswer(laneAt(at), id))) remember('cut');
      const { text, images } = typedOf(turn);
      for (const at of places) setLane(at, (lane) => cutAt(lane, id));
      set({ input: text, images });
    }),
    /** Asks anew what was asked with this turn. */
    resend: on((at, id: number) => {
      const turn = laneAt(at).turns.find((turn) => turn.id === id);
      if (!turn) return;
      drop(at);
      if (cutsAnswer(laneAt(at), id)) remember('cut');
      setLane(at, (lane) => say(cutAt(lane, id), id, turn.parts));
      void ask(at, latest.current);
    }),
    stop: () => {
      for (const at of shownAt(state)) running.get(at)?.abort();
    },
    clear: () => {
      const places = [FIRST, SECOND];
      places.forEach(drop);
      if (places.some((at) => laneAt(at).turns.length > 0)) remember('clear');
      for (const at of places) setLane(at, (lane) => newLane(lane.protocol, lane.model));
    },
    compare: (two: boolean) => {
      if (two) setLane(SECOND, (lane) => caughtUp(lane, laneAt(FIRST)));
      else running.get(SECOND)?.abort();
      set({ two });
    },
    toRaw: (byHand: boolean) => {
      // What somebody wrote stays; what nobody wrote follows the conversation.
      if (byHand && state.raw === state.made && state.raw !== bodyNow()) toBodyNow();
      set({ byHand });
    },
    /** Throws away what is written by hand for what the conversation says. */
    remake: () => {
      remember('raw');
      toBodyNow();
    },
    takeUp: ({ protocol, body, model, stream, from }: Handover) => {
      drop(HAND);
      if (state.raw !== state.made) remember('raw');
      const read = readRaw(body);
      setLane(HAND, () => newLane(protocol, model));
      set({ byHand: true, raw: 'body' in read ? JSON.stringify(read.body, null, 2) : body, made: '', from, settings: { ...state.settings, stream } });
    },
    bringBack: () => {
      dropAll();
      set({ ...state.undo?.before, undo: null });
    },
  };
}

export type PlaygroundState = ReturnType<typeof usePlayground>;

/** What is looked at beside a lane: what is under way, or what ended last. */
export function shownOf(lane: Lane): Exchange | null {
  return lane.running ?? lane.last;
}
