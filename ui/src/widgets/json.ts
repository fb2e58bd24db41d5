/** Reading JSON by hand: numbers keep their digits, mistakes have a place, and neither depth nor size is a danger. */

/** A line of pretty JSON. */
export interface JsonLine {
  depth: number;
  /** The name of a member, with its quotes. */
  name?: string;
  /** What follows it: a value as it was written, or what opens or closes one. */
  text: string;
  kind: 'string' | 'number' | 'word' | 'open' | 'close' | 'empty';
  comma: boolean;
  /** Where it begins in the text that was read. */
  at: number;
  /** Of what opens something: the line that closes it. */
  end?: number;
  /** How many members or entries it holds. */
  count?: number;
}

export type MistakeKind = 'value' | 'end' | 'string' | 'escape' | 'control' | 'number' | 'comma' | 'colon' | 'name' | 'rest';

/** The first mistake of a text that should be JSON; places count from 1. */
export interface JsonMistake {
  kind: MistakeKind;
  offset: number;
  line: number;
  column: number;
}

export type JsonRead = { lines: JsonLine[]; /** Lines that were left out because there are too many. */ left: number } | { mistake: JsonMistake };

/** More lines than anybody reads; the text itself stays whole. */
export const MOST_LINES = 150_000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SPACE = /[ \t\r\n]*/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WORDS = ['true', 'false', 'null'];

/** Cuts JSON into pretty lines, or says where it is none. */
export function readJson(text: string, most = MOST_LINES): JsonRead {
  const lines: JsonLine[] = [];
  const open: { closer: '}' | ']'; line: number; count: number }[] = [];
  let at = 0;
  let left = 0;

  const space = () => {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
  };
  const wrong = (kind: MistakeKind, where = at): JsonRead => ({ mistake: { kind: where >= text.length ? 'end' : kind, ...place(text, where) } });
  const push = (line: JsonLine) => {
    if (lines.length < most) lines.push(line);
    else left += 1;
  };
  /** The end of the string that begins here, or what is wrong with it. */
  const string = (): JsonRead | null => {
    // By hand: engines keep a place on their stack for every repetition of a pattern, and texts have megabytes.
    for (let look = at + 1; look < text.length; look += 1) {
      const code = text.charCodeAt(look);
      if (code === QUOTE) {
        at = look + 1;
        return null;
      }
      if (code < 0x20) return wrong('control', look);
      if (code === BACKSLASH) {
        ESCAPE.lastIndex = look;
        if (!ESCAPE.test(text)) return wrong('escape', look);
        look = ESCAPE.lastIndex - 1;
      }
    }
    return { mistake: { kind: 'string', ...place(text, at) } };
  };

  for (;;) {
    // A value is expected here; in an object, its name before it.
    space();
    let name: string | undefined;
    const from = at;
    const around = open.at(-1);
    if (around?.closer === '}') {
      if (text[at] !== '"') return wrong('name');
      const start = at;
      const bad = string();
      if (bad) return bad;
      name = text.slice(start, at);
      space();
      if (text[at] !== ':') return wrong('colon');
      at += 1;
      space();
    }
    if (around) around.count += 1;
    const depth = open.length;
    const first = text[at];
    const start = at;
    if (first === '{' || first === '[') {
      const closer = first === '{' ? '}' : ']';
      at += 1;
      space();
      if (text[at] !== closer) {
        push({ depth, name, text: first, kind: 'open', comma: false, at: from });
        open.push({ closer, line: left > 0 ? -1 : lines.length - 1, count: 0 });
        continue;
      }
      at += 1;
      push({ depth, name, text: first + closer, kind: 'empty', comma: false, at: from });
    } else if (first === '"') {
      const bad = string();
      if (bad) return bad;
      push({ depth, name, text: text.slice(start, at), kind: 'string', comma: false, at: from });
    } else {
      NUMBER.lastIndex = at;
      const word = WORDS.find((word) => text.startsWith(word, at));
      if (word) at += word.length;
      else if (first !== undefined && /[-\d]/.test(first) && NUMBER.exec(text)) at = NUMBER.lastIndex;
      else return wrong(first === '-' ? 'number' : 'value');
      if (/[\w.+-]/.test(text[at] ?? '')) return wrong(word ? 'value' : 'number', start);
      push({ depth, name, text: text.slice(start, at), kind: word ? 'word' : 'number', comma: false, at: from });
    }
    // Behind a value: a comma, or the ends of what surrounds it.
    for (;;) {
      space();
      const around = open.at(-1);
      if (!around) return at < text.length ? wrong('rest') : { lines, left };
      if (text[at] === ',') {
        at += 1;
        const last = lines.at(-1);
        if (last && left === 0) last.comma = true;
        break;
      }
      if (text[at] !== around.closer) return wrong('comma');
      at += 1;
      open.pop();
      push({ depth: open.length, text: around.closer, kind: 'close', comma: false, at: at - 1 });
      const opener = lines[around.line];
      if (opener && left === 0) Object.assign(opener, { end: lines.length - 1, count: around.count });
    }
  }
}

function place(text: string, offset: number): Omit<JsonMistake, 'kind'> {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { offset, line, column: offset - start + 1 };
}

/** A value as pretty text; what nests too deep for that is told, not thrown. */
export function writeJson(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2) ?? '';
  } catch (error) {
    return String(error);
  }
}

/** Lines of text that is no JSON, in the same form. */
export function plainLines(text: string, most = MOST_LINES): { lines: JsonLine[]; left: number } {
  const all = text.split(/\r\n|\n|\r/);
  const lines = all.slice(0, most).map((text): JsonLine => ({ depth: 0, text, kind: 'word', comma: false, at: 0 }));
  return { lines, left: all.length - lines.length };
}

/** The lines again as pretty text. */
export function prettyText(lines: JsonLine[]): string {
  return lines.map((line) => '  '.repeat(Math.min(line.depth, 40)) + lineText(line)).join('\n');
}

/** A line without its indentation and its comma: what comparing goes by. */
export function lineText({ name, text, comma }: JsonLine): string {
  return `${name === undefined ? '' : `${name}: `}${text}${comma ? ',' : ''}`;
}

/** The lines that are seen when these are folded, by their places. */
export function seenLines(lines: JsonLine[], folded: ReadonlySet<number>): number[] {
  const seen: number[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    seen.push(at);
    const end = lines[at]?.end;
    if (end !== undefined && folded.has(at)) at = end;
  }
  return seen;
}

/** The line of what a JSON Pointer (`/messages/0/content`) names, or of the nearest thing around it that is there. */
export function lineAt(lines: JsonLine[], pointer: string): number {
  let here = 0;
  const steps = pointer.replace(/^#?\/?/, '').split('/').filter(Boolean);
  for (const step of steps) {
    const opener = lines[here];
    if (opener?.end === undefined) break;
    const name = JSON.stringify(step.replaceAll('~1', '/').replaceAll('~0', '~'));
    const isList = opener.text === '[';
    let found = -1;
    for (let at = here + 1, entry = 0; at < opener.end; at = (lines[at]?.end ?? at) + 1, entry += 1) {
      if (isList ? String(entry) === step : lines[at]?.name === name) {
        found = at;
        break;
      }
    }
    if (found < 0) break;
    here = found;
  }
  return here;
}
