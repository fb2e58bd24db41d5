const SHEETS = '.mantine-Modal-content, .mantine-Drawer-content';
const CLOSE = '.mantine-Modal-close, .mantine-Drawer-close';

/**
 * Escape closes what lies on top and nothing else. Dialogs and drawers each listen for it, whatever stands in front of them, so that one press would
 * close a whole pile with what was typed in it, and also the question that a closing drawer asks.
 */
export function closeTopOnly(target: Window): void {
  target.addEventListener(
    'keydown',
    (event) => {
      if (event.key !== 'Escape' || event.isComposing) return;
      // Lists and menus that are open within take it for themselves.
      if (event.target instanceof Element && event.target.getAttribute('data-mantine-stop-propagation') === 'true') return;
      const sheets = [...target.document.querySelectorAll(SHEETS)];
      const close = sheets.at(-1)?.querySelector<HTMLElement>(CLOSE);
      if (sheets.length === 0 || (sheets.length === 1 && !close)) return;
      event.stopImmediatePropagation();
      event.preventDefault();
      // The one that was opened last stands last. Where it cannot be closed there is no button.
      close?.click();
    },
    { capture: true },
  );
}
