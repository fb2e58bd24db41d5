import { describe, expect, it } from 'vitest';

import { go, redo, start, undo } from './history';
import { declaredTargets, definitionOf, type Draft, draftOf, emptyDraft, groupsOf, moved, placeOf, type Pool, type Row, same, sharesOf, targetsOf, tidy, withTargets } from './pool';

const POOL: Pool = {
  name: 'sonnet',
  tier: 'normal',
  strategy: 'round_robin',
  words: [],
  fallbacks: ['haiku'],
  targets: [
    { target: 'local/q', weight: 1, priority: 5 },
    { target: 'a/x', weight: 2, priority: 1 },
    { target: 'b/y', weight: 1, priority: 1 },
  ],
};

/** `1: a/x b/y | 5: local/q | 6:` */
function told(rows: Row[]): string {
  return rows.map((row) => (row.kind === 'group' ? `|${row.priority}:` : row.target)).join(' ').replace(/^\|/, '');
}
const idOf = (rows: Row[], target: string) => rows.find((row) => row.kind === 'target' && row.target === target)!.id;
const headId = (rows: Row[], priority: number) => rows.find((row) => row.kind === 'group' && row.priority === priority)!.id;

describe('a draft', () => {
  it('shows targets by priority and keeps the numbers', () => {
    const draft = draftOf(POOL);
    expect(told(draft.rows)).toBe('1: a/x b/y |5: local/q |6:');
    expect(declaredTargets(draft.rows)).toEqual([{ target: 'a/x', weight: 2 }, 'b/y', { target: 'local/q', priority: 5 }]);
    expect(definitionOf(draft, true)).toEqual({ tier: 'normal', strategy: null, words: null, fallbacks: ['haiku'], targets: declaredTargets(draft.rows) });
    expect(definitionOf(draft, false)).toEqual({ name: 'sonnet', tier: 'normal', fallbacks: ['haiku'], targets: declaredTargets(draft.rows) });
    expect(same(draft, draftOf(POOL))).toBe(true);
  });

  it('is made of a definition where the pool is not in force', () => {
    const out: Pool = { name: 'p', definition: { targets: ['a/x', { target: 'b/y', weight: 3, priority: 2 }], words: 'w', strategy: 'ordered' } };
    expect(draftOf(out)).toMatchObject({ words: ['w'], strategy: 'ordered', tier: '' });
    expect(targetsOf(out)).toEqual([{ target: 'a/x', weight: 1, priority: 1 }, { target: 'b/y', weight: 3, priority: 2 }]);
    expect(targetsOf({ name: 'p', definition: { targets: 'a/x' } })).toHaveLength(1);
    expect(targetsOf({ name: 'p' })).toEqual([]);
  });

  it('begins empty, with the usual name of its tier', () => {
    expect(emptyDraft('tool', [])).toMatchObject({ name: 'haiku', tier: 'tool' });
    expect(emptyDraft('tool', ['haiku']).name).toBe('');
    expect(told(emptyDraft('', []).rows)).toBe('1:');
  });
});

describe('moving', () => {
  it('goes past a head into another priority', () => {
    const { rows } = draftOf(POOL);
    expect(told(moved(rows, idOf(rows, 'b/y'), idOf(rows, 'a/x')))).toBe('1: b/y a/x |5: local/q |6:');
    expect(told(moved(rows, idOf(rows, 'b/y'), headId(rows, 5)))).toBe('1: a/x |5: b/y local/q |6:');
    expect(told(moved(rows, idOf(rows, 'a/x'), headId(rows, 6)))).toBe('1: b/y |5: local/q |6: a/x |7:');
    expect(told(moved(rows, idOf(rows, 'local/q'), idOf(rows, 'a/x')))).toBe('1: local/q a/x b/y |2:');
    // Above the first head is still its group.
    expect(told(moved(rows, idOf(rows, 'local/q'), headId(rows, 1)))).toBe('1: local/q a/x b/y |2:');
    expect(moved(rows, 'nothing', 'nowhere')).toBe(rows);
  });

  it('leaves no empty group behind', () => {
    const { rows } = draftOf(POOL);
    const gone = tidy(rows.filter((row) => row.kind === 'group' || row.target !== 'local/q'));
    expect(told(gone)).toBe('1: a/x b/y |2:');
    expect(told(tidy(rows.filter((row) => row.kind === 'group')))).toBe('1:');
  });

  it('tells places', () => {
    const { rows } = draftOf(POOL);
    expect(placeOf(rows, idOf(rows, 'b/y'))).toMatchObject({ priority: 1, place: 2, of: 2 });
    expect(placeOf(rows, idOf(rows, 'local/q'))).toMatchObject({ priority: 5, place: 1, of: 1 });
    expect(placeOf(rows, headId(rows, 5))).toBeNull();
  });
});

describe('adding', () => {
  it('goes to the first group, once', () => {
    const { rows } = draftOf(POOL);
    expect(told(withTargets(rows, ['c/z', 'a/x', 'local/q']))).toBe('1: a/x b/y c/z |5: local/q |6:');
    expect(told(withTargets(emptyDraft('', []).rows, ['c/z']))).toBe('1: c/z |2:');
    expect(groupsOf(rows).map((group) => group.targets.length)).toEqual([2, 1]);
  });
});

describe('shares', () => {
  it('are taken over providers first', () => {
    const of = (...targets: [string, number][]) => sharesOf(targets.map(([target, weight]) => ({ target, weight })));
    expect(of(['a/1', 1], ['a/2', 1], ['b/1', 1])).toEqual([0.25, 0.25, 0.5]);
    expect(of(['a/1', 2], ['b/1', 1], ['b/2', 1])?.map((share) => Math.round(share * 100))).toEqual([67, 17, 17]);
    expect(of(['a/1', 3], ['a/2', 1], ['b/1', 1])?.map((share) => Math.round(share * 1000))).toEqual([563, 188, 250]);
    expect(of(['a/1', 1], ['sonnet', 1])).toBeNull();
  });
});

describe('history', () => {
  it('goes back and forth', () => {
    let history = start<Pick<Draft, 'name'>>({ name: 'a' });
    history = go(history, { name: 'b' });
    history = go(history, { name: 'bc' }, true);
    history = go(history, { name: 'd' });
    expect(undo(history).now.name).toBe('bc');
    expect(undo(undo(history)).now.name).toBe('a');
    expect(undo(undo(undo(history))).now.name).toBe('a');
    expect(redo(undo(undo(history))).now.name).toBe('bc');
    expect(redo(go(undo(history), { name: 'e' })).now.name).toBe('e');
  });
});
