import { useEffect } from 'react';

/** Gives the focus back to where it was before something opened. Drawers that stay can do that themselves; those that go with what they show cannot. */
export function useFocusBack(open: boolean): void {
  useEffect(() => {
    if (!open) return undefined;
    const before = document.activeElement;
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, [open]);
}
