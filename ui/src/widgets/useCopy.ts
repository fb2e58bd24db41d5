import { useEffect, useRef, useState } from 'react';

/** How long it is said what became of it, in milliseconds. */
const SAID = 2_000;

/** Browsers give the clipboard only to pages that came over HTTPS or from this machine; elsewhere their old way is left. */
function copyOldWay(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.style.position = 'fixed';
  field.style.opacity = '0';
  // Within a dialog focus stays in it.
  (before?.closest('[role="dialog"]') ?? document.body).append(field);
  try {
    field.select();
    return document.execCommand('copy');
  } catch {
    return false;
  } finally {
    field.remove();
    if (before instanceof HTMLElement) before.focus();
  }
}

async function write(text: string): Promise<boolean> {
  try {
    if (!navigator.clipboard) return copyOldWay(text);
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyOldWay(text);
  }
}

/** Copies, and tells for a moment whether it is `done` or has `failed`, so that nobody closes what is shown once for nothing. */
export function useCopy(onDone?: () => void) {
  const [state, setState] = useState<'done' | 'failed' | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (text: string) => {
    const done = await write(text);
    setState(done ? 'done' : 'failed');
    if (done) onDone?.();
    clearTimeout(timer.current);
    // What failed is said until it succeeds.
    if (done) timer.current = setTimeout(() => setState(null), SAID);
  };
  return { state, copy };
}
