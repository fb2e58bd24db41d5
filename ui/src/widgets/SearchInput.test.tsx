// @vitest-environment jsdom
import { act, renderHook } from '@testing-library/react';
import type { ChangeEvent } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { useTyped } from './SearchInput';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function field(start = '') {
  const search = vi.fn();
  const { result, rerender } = renderHook(({ value }) => useTyped(value, search), { initialProps: { value: start } });
  return {
    search,
    type: (text: string) => act(() => result.current.onChange({ currentTarget: { value: text } } as ChangeEvent<HTMLInputElement>)),
    leave: () => act(() => result.current.onBlur()),
    pause: () => act(() => vi.advanceTimersByTime(300)),
    /** The address changes. */
    become: (value: string) => rerender({ value }),
    shown: () => result.current.value,
  };
}

it('keeps what is typed while what was sent before comes back, however late', () => {
  const one = field();
  one.type('a');
  one.pause();
  one.type('ab');
  one.pause();
  one.type('abc');
  one.become('a');
  one.become('ab');
  expect(one.shown()).toBe('abc');
  one.pause();
  expect(one.search.mock.calls).toEqual([['a'], ['ab'], ['abc']]);
  one.become('abc');
  expect(one.shown()).toBe('abc');
});

it('follows the address, and looks no more for what was being typed', () => {
  const one = field('old');
  one.type('older');
  one.become('');
  expect(one.shown()).toBe('');
  one.pause();
  expect(one.search).not.toHaveBeenCalled();
  one.become('new');
  expect(one.shown()).toBe('new');
});

it('looks for what was typed before what the reader does next, and then shows what the address holds', () => {
  const one = field();
  one.type('a');
  one.leave();
  expect(one.search.mock.calls).toEqual([['a']]);
  // Cleared at once: the address never got so far.
  one.become('');
  one.pause();
  expect([one.shown(), one.search.mock.calls.length]).toEqual(['', 1]);
});
