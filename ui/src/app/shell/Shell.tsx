import { AppShell, Box, Burger, Group, ScrollArea } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, Outlet, useMatches, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { useExpired } from '../../api/auth';
import { patiently } from '../../api/parts';
import { Waiting } from '../../widgets/Waiting';
import { NotForYou } from '../NotForYou';
import { SCREENS } from '../screens';
import { isFor, useSession } from '../session';
import { Health } from './Health';
import { Navigation } from './Navigation';
import classes from './Shell.module.css';
import { Tools } from './Tools';

// Seldom seen: they are fetched when they are.
const SignInAgain = lazy(() => patiently(() => import('./SignInAgain')));
const MustChange = lazy(() => patiently(() => import('./MustChange')));

/** What surrounds every screen: navigation, the gateway's state, language, colours, and who one is. */
export function Shell() {
  const { t } = useTranslation();
  const session = useSession();
  const expired = useExpired();
  const [open, { toggle, close }] = useDisclosure();
  const path = useRouterState({ select: (state) => state.location.pathname });
  // The screen that is shown, which is not yet that of the address on the way from one to another. What is none is told so by the router, to everybody.
  const shown = useMatches({ select: (matches) => matches.at(-1)?.fullPath as string | undefined });
  const screen = SCREENS.find((one) => one.path === shown) ?? { least: 'member' as const };
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);

  // On to another screen: the narrow navigation makes way, and readers of the screen go on in its content.
  useEffect(() => {
    close();
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
  }, [path, close]);

  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 224, breakpoint: 'md', collapsed: { mobile: !open } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a href="#main" className={classes.skip}>
        {t('shell.skip')}
      </a>
      <AppShell.Header className={classes.header}>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={open} onClick={toggle} hiddenFrom="md" size="sm" aria-label={t('shell.navigation')} />
            <Link to="/" className={classes.brand}>
              <img src="/admin/polyport.svg" width={26} height={26} alt="" />
              <span>Polyport</span>
            </Link>
            <Health />
          </Group>
          <Tools />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar className={classes.navbar}>
        <ScrollArea type="hover">
          <Navigation role={session.role} />
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="main" ref={main} tabIndex={-1} className={classes.main}>
        {/* What is on the screen belongs to who is signed in: another one begins anew. */}
        <Box maw={1680} mx="auto" key={`${session.kind} ${session.id ?? ''}`}>
          <Suspense fallback={<Waiting />}>{session.must_change ? <MustChange /> : isFor(screen, session.role) ? <Outlet /> : <NotForYou />}</Suspense>
        </Box>
      </AppShell.Main>
      {expired && (
        <Suspense>
          <SignInAgain />
        </Suspense>
      )}
    </AppShell>
  );
}
