import {
  IconActivity, IconBook2, IconChartHistogram, IconCoins, IconGauge, IconKey, IconListDetails, IconMessages, IconPlugConnected,
  IconRoute, IconRoute2, IconSettings, IconShieldCheck, IconStack2, IconTicket, IconUser, IconUsers, IconUsersGroup, IconHelpHexagon,
  IconServer2, IconHome,
} from '@tabler/icons-react';
import type { ComponentType } from 'react';

import type { Role } from './session';

/** A screen of the page: its words and its files are at `screens/<name>/`. */
export interface Screen {
  name: string;
  path: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  group: 'watch' | 'models' | 'people' | 'system' | 'mine';
  /** The least role that may open it. */
  least: Role;
  /** Not for those above: they have better ones. */
  most?: Role;
  load: () => Promise<{ default: ComponentType }>;
}

/** All screens, in the order of the navigation. */
export const SCREENS: Screen[] = [
  { name: 'home', path: '/home', icon: IconHome, group: 'mine', least: 'member', most: 'manager', load: () => import('../screens/home') },
  { name: 'dashboard', path: '/', icon: IconGauge, group: 'watch', least: 'admin', load: () => import('../screens/dashboard') },
  { name: 'requests', path: '/requests', icon: IconActivity, group: 'watch', least: 'member', load: () => import('../screens/requests') },
  { name: 'usage', path: '/usage', icon: IconCoins, group: 'watch', least: 'member', load: () => import('../screens/usage') },
  { name: 'providers', path: '/providers', icon: IconServer2, group: 'models', least: 'admin', load: () => import('../screens/providers') },
  { name: 'credentials', path: '/credentials', icon: IconKey, group: 'models', least: 'admin', load: () => import('../screens/credentials') },
  { name: 'tokens', path: '/tokens', icon: IconTicket, group: 'models', least: 'admin', load: () => import('../screens/tokens') },
  { name: 'models', path: '/models', icon: IconStack2, group: 'models', least: 'admin', load: () => import('../screens/models') },
  { name: 'pools', path: '/pools', icon: IconListDetails, group: 'models', least: 'admin', load: () => import('../screens/pools') },
  { name: 'routes', path: '/routes', icon: IconRoute, group: 'models', least: 'admin', load: () => import('../screens/routes') },
  { name: 'explain', path: '/explain', icon: IconHelpHexagon, group: 'models', least: 'admin', load: () => import('../screens/explain') },
  { name: 'playground', path: '/playground', icon: IconMessages, group: 'models', least: 'member', load: () => import('../screens/playground') },
  { name: 'keys', path: '/keys', icon: IconPlugConnected, group: 'people', least: 'member', load: () => import('../screens/keys') },
  { name: 'users', path: '/users', icon: IconUsers, group: 'people', least: 'manager', load: () => import('../screens/users') },
  { name: 'teams', path: '/teams', icon: IconUsersGroup, group: 'people', least: 'manager', load: () => import('../screens/teams') },
  { name: 'quotas', path: '/quotas', icon: IconChartHistogram, group: 'people', least: 'member', load: () => import('../screens/quotas') },
  { name: 'connect', path: '/connect', icon: IconRoute2, group: 'people', least: 'member', load: () => import('../screens/connect') },
  { name: 'audit', path: '/audit', icon: IconShieldCheck, group: 'system', least: 'admin', load: () => import('../screens/audit') },
  { name: 'settings', path: '/settings', icon: IconSettings, group: 'system', least: 'admin', load: () => import('../screens/settings') },
  { name: 'account', path: '/account', icon: IconUser, group: 'system', least: 'member', load: () => import('../screens/account') },
];

/** Not a screen: the book, which the gateway serves beside the page. */
export const GUIDE = { path: '/docs/guide/', icon: IconBook2 };

/** The groups of the navigation, in their order. */
export const GROUPS = ['mine', 'watch', 'models', 'people', 'system'] as const;
