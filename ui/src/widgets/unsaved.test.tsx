// @vitest-environment jsdom
import { act, renderHook } from '@testing-library/react';
import { describe, expect, it, vi } from 'vitest';

import { anyUnsaved, loses, useLeaving, useUnsaved } from './unsaved';

const at = (pathname: string, search = {}) => ({ pathname, search });

describe('what was typed', () => {
  it('is lost with the screen and with its entry, not with other members of the address', () => {
    const { rerender, unmount } = renderHook(({ dirty }) => useUnsaved(dirty, 'id', 'new'), { initialProps: { dirty: false } });
    expect(loses(at('/keys'), at('/users'))).toBe(false);
    rerender({ dirty: true });
    expect(anyUnsaved()).toBe(true);
    expect(loses(at('/keys', { id: 'a' }), at('/users'))).toBe(true);
    expect(loses(at('/keys', { id: 'a' }), at('/keys', { id: 'b' }))).toBe(true);
    expect(loses(at('/keys', { id: 'a' }), at('/keys', {}))).toBe(true);
    expect(loses(at('/keys', { id: 'a' }), at('/keys', { id: 'a', q: 'x' }))).toBe(false);
    unmount();
    expect(anyUnsaved()).toBe(false);
  });

  it('is asked for before it goes, and goes only with a yes', async () => {
    const page = renderHook(() => useLeaving());
    const form = renderHook(() => useUnsaved(true));
    const close = vi.fn();
    act(() => void form.result.current.leave(close));
    await act(async () => page.result.current.question?.(false));
    expect([close.mock.calls.length, page.result.current.question, anyUnsaved()]).toEqual([0, null, true]);
    act(() => void form.result.current.leave(close));
    await act(async () => page.result.current.question?.(true));
    expect([close.mock.calls.length, anyUnsaved()]).toEqual([1, false]);
    form.unmount();
  });

  it('asks nothing once it is saved', () => {
    const form = renderHook(() => useUnsaved(true));
    form.result.current.settle();
    expect(loses(at('/keys'), at('/users'))).toBe(false);
    form.unmount();
  });
});
