import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';

import { part } from '../api/parts';
import { queryClient } from '../api/query';
import { Crash } from './Crash';
import { Leave } from './Leave';
import { NotFound } from './NotFound';
import { type Screen, SCREENS } from './screens';
import { sessionQuery, setupQuery, takeWay } from './session';
import { Shell } from './shell/Shell';

const root = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Leave />
    </>
  ),
  notFoundComponent: NotFound,
});

const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: Shell,
  beforeLoad: async ({ location }) => {
    const session = await queryClient.ensureQueryData(sessionQuery);
    if (session.kind === 'nobody') {
      const setup = await queryClient.fetchQuery(setupQuery);
      throw redirect({ to: setup.needed ? '/setup' : '/sign-in', search: setup.needed ? {} : { to: location.href } });
    }
    const way = takeWay();
    if (way && location.pathname === '/') throw redirect({ to: way });
    const role = session.role ?? 'admin';
    if (location.pathname === '/' && role !== 'admin') throw redirect({ to: '/home' });
    if (location.pathname === '/home' && role === 'admin') throw redirect({ to: '/' });
  },
});

const first = (load: Screen['load']) => lazyRouteComponent(() => part(load));

/** A screen, and the styles that the first one does without. */
const later = (load: Screen['load']) =>
  first(async () => {
    const [screen] = await Promise.all([load(), import('./more.css')]);
    return screen;
  });

/** The search of every screen is its own affair: read with `useSearch` of `widgets/search`. */
const screens = SCREENS.map((screen) =>
  createRoute({ getParentRoute: () => inside, path: screen.path, component: screen.path === '/' ? first(screen.load) : later(screen.load) }),
);

const outside = [
  createRoute({ getParentRoute: () => root, path: '/sign-in', component: first(() => import('../screens/sign-in')) }),
  createRoute({ getParentRoute: () => root, path: '/setup', component: later(() => import('../screens/setup')) }),
];

export const router = createRouter({
  // Everything in an address is text: `?failed=true`, not `?failed=%22true%22`.
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== null);
    return given.length > 0 ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()}` : '';
  },
  routeTree: root.addChildren([...outside, inside.addChildren(screens)]),
  basepath: '/admin',
  defaultPreload: 'intent',
  defaultErrorComponent: Crash,
  scrollRestoration: true,
});
