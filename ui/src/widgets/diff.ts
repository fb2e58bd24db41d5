/** Which lines of two lists the other one lacks (Myers, "An O(ND) Difference Algorithm"), and roughly so where they have little in common. */
export function differences(before: string[], after: string[], mostEdits = 1500): { before: Set<number>; after: Set<number> } {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  const a = before.slice(start, before.length - end);
  const b = after.slice(start, after.length - end);
  const kept = commonLines(a, b, mostEdits) ?? roughlyCommon(a, b);
  const mark = (length: number, kept: Set<number>) => new Set(Array.from({ length }, (_, at) => at).filter((at) => !kept.has(at)).map((at) => at + start));
  return { before: mark(a.length, kept.a), after: mark(b.length, kept.b) };
}

function commonLines(a: string[], b: string[], mostEdits: number): { a: Set<number>; b: Set<number> } | null {
  const size = Math.min(a.length + b.length, mostEdits);
  const far = new Int32Array(2 * size + 3);
  const trail: Int32Array[] = [];
  for (let edits = 0; edits <= size; edits += 1) {
    trail.push(far.slice(size + 1 - edits - 1, size + 1 + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && (far[size + k] as number) < (far[size + k + 2] as number));
      let x = down ? (far[size + k + 2] as number) : (far[size + k] as number) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      far[size + 1 + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(trail, a.length, b.length);
    }
  }
  return null;
}

function walkBack(trail: Int32Array[], x: number, y: number): { a: Set<number>; b: Set<number> } {
  const kept = { a: new Set<number>(), b: new Set<number>() };
  for (let edits = trail.length - 1; edits >= 0; edits -= 1) {
    const k = x - y;
    // What was known before this round, by diagonals from -edits - 1 to edits + 1.
    const at = (k: number) => (trail[edits] as Int32Array)[k + edits + 1] as number;
    const down = k === -edits || (k !== edits && at(k - 1) < at(k + 1));
    const before = edits === 0 ? 0 : down ? k + 1 : k - 1;
    const fromX = edits === 0 ? 0 : at(before);
    const fromY = edits === 0 ? 0 : fromX - before;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      x -= 1;
      y -= 1;
      kept.a.add(x);
      kept.b.add(y);
    }
    x = fromX;
    y = fromY;
  }
  return kept;
}

/** Lines that are somewhere in both. */
function roughlyCommon(a: string[], b: string[]): { a: Set<number>; b: Set<number> } {
  const places = new Map<string, number[]>();
  b.forEach((line, at) => (places.get(line) ?? places.set(line, []).get(line))?.push(at));
  for (const list of places.values()) list.reverse();
  const kept = { a: new Set<number>(), b: new Set<number>() };
  a.forEach((line, at) => {
    const place = places.get(line)?.pop();
    if (place === undefined) return;
    kept.a.add(at);
    kept.b.add(place);
  });
  return kept;
}
