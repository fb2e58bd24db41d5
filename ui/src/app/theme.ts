import { Badge, Button, createTheme, Drawer, type MantineColorsTuple, Menu, Modal, Notification, Table, Tooltip } from '@mantine/core';
import i18next from 'i18next';

/** Sea water in a harbour: the page's own colour. White text on the 8th and darker has a contrast of at least 4.5:1. */
const harbour: MantineColorsTuple = [
  '#e3f8fb',
  '#cdeef3',
  '#a0dde7',
  '#6ecbd9',
  '#45bacb',
  '#2aa3b6',
  '#16899c',
  '#0b7285',
  '#086174',
  '#04505f',
];

/** What dialogs and drawers have in common: their cross has a name, in the language of the moment, and their head is no second head of the page. */
const sheet = {
  closeButtonProps: {
    get 'aria-label'() {
      return i18next.t('close');
    },
  },
  attributes: { header: { role: 'presentation' } },
};

export const theme = createTheme({
  primaryColor: 'harbour',
  primaryShade: { light: 7, dark: 8 },
  colors: { harbour },
  autoContrast: true,
  luminanceThreshold: 0.35,
  defaultRadius: 'md',
  fontFamily: 'Inter, "Segoe UI", system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace',
  headings: { fontWeight: '650', sizes: { h1: { fontSize: '1.45rem' }, h2: { fontSize: '1.15rem' }, h3: { fontSize: '1rem' } } },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Badge: Badge.extend({ defaultProps: { variant: 'light', radius: 'sm', tt: 'none' } }),
    Button: Button.extend({ defaultProps: { size: 'sm' } }),
    Drawer: Drawer.extend({ defaultProps: { ...sheet, position: 'right', size: 'xl', overlayProps: { backgroundOpacity: 0.35 } } }),
    Modal: Modal.extend({ defaultProps: { ...sheet, size: 'lg', overlayProps: { backgroundOpacity: 0.45 } } }),
    // Menus hold items alone, and the first one has the focus.
    Menu: Menu.extend({ defaultProps: { withInitialFocusPlaceholder: false } }),
    Notification: Notification.extend({ defaultProps: { closeButtonProps: sheet.closeButtonProps } }),
    Table: Table.extend({ defaultProps: { verticalSpacing: 6, highlightOnHover: true } }),
    Tooltip: Tooltip.extend({ defaultProps: { withArrow: true, openDelay: 250 } }),
  },
});
