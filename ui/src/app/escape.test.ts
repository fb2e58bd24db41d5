// @vitest-environment jsdom
import { afterEach, describe, expect, it, vi } from 'vitest';

import { closeTopOnly } from './escape';

closeTopOnly(window);
const later = vi.fn();
window.addEventListener('keydown', later, { capture: true });

function sheet(kind: 'Modal' | 'Drawer', closes = true): () => number {
  const content = document.createElement('section');
  content.className = `mantine-${kind}-content`;
  const close = vi.fn();
  if (closes) {
    const button = document.createElement('button');
    button.className = `mantine-${kind}-close`;
    button.onclick = close;
    content.append(button);
  }
  document.body.append(content);
  return () => close.mock.calls.length;
}

const press = (key: string, target: Element = document.body) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));

afterEach(() => {
  document.body.replaceChildren();
  later.mockClear();
});

describe('Escape', () => {
  it('closes the one on top alone', () => {
    const [drawer, modal] = [sheet('Drawer'), sheet('Modal')];
    press('Escape');
    expect([drawer(), modal(), later.mock.calls.length]).toEqual([0, 1, 0]);
    press('Enter');
    expect(later).toHaveBeenCalledTimes(1);
  });

  it('closes a single one once, and is left to one that has no button', () => {
    const drawer = sheet('Drawer');
    press('Escape');
    expect([drawer(), later.mock.calls.length]).toEqual([1, 0]);
    document.body.replaceChildren();
    sheet('Modal', false);
    press('Escape');
    expect(later).toHaveBeenCalledTimes(1);
  });

  it('is left to lists that are open', () => {
    const modal = sheet('Modal');
    const field = document.createElement('input');
    field.setAttribute('data-mantine-stop-propagation', 'true');
    document.body.append(field);
    press('Escape', field);
    expect([modal(), later.mock.calls.length]).toEqual([0, 1]);
  });

  it('closes nothing where the one on top has to stay', () => {
    const drawer = sheet('Drawer');
    sheet('Modal', false);
    press('Escape');
    expect([drawer(), later.mock.calls.length]).toEqual([0, 0]);
  });
});
