// @vitest-environment jsdom
import { renderHook } from '@testing-library/react';
import { expect, it } from 'vitest';

import { useHeld } from './useHeld';

it('holds what is open when it is gone, and only that', () => {
  const { result, rerender } = renderHook(({ name, found }: { name: string; found?: string }) => useHeld(name, found), { initialProps: { name: 'a', found: 'A' as string | undefined } });
  rerender({ name: 'a', found: 'A2' });
  expect(result.current).toEqual({ held: 'A2', gone: false });
  rerender({ name: 'a', found: undefined });
  expect(result.current).toEqual({ held: 'A2', gone: true });
  rerender({ name: '', found: undefined });
  expect(result.current).toEqual({ held: undefined, gone: false });
  rerender({ name: 'b', found: undefined });
  expect(result.current).toEqual({ held: undefined, gone: false });
});
