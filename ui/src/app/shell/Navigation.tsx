import { Box } from '@mantine/core';
import { Link, useRouterState } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { GROUPS, GUIDE, SCREENS } from '../screens';
import { isFor, type Role } from '../session';
import classes from './Shell.module.css';

export function Navigation({ role }: { role: Role }) {
  const { t } = useTranslation();
  const path = useRouterState({ select: (state) => state.location.pathname.replace(/\/$/, '') || '/' });
  return (
    <Box component="nav" aria-label={t('shell.navigation')} pb="md">
      {GROUPS.map((group) => {
        const screens = SCREENS.filter((screen) => screen.group === group && isFor(screen, role));
        if (screens.length === 0) return null;
        return (
          <div key={group}>
            <div className={classes.group}>{t(`groups.${group}`)}</div>
            {screens.map(({ name, path: to, icon: Icon }) => {
              const active = to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`);
              return (
                <Link key={name} to={to} className={classes.link} data-active={active || undefined} aria-current={active ? 'page' : undefined}>
                  <Icon size={18} stroke={1.7} />
                  {t(`screens.${name}`)}
                </Link>
              );
            })}
            {group === 'system' && (
              <a href={GUIDE.path} className={classes.link} target="_blank" rel="noreferrer">
                <GUIDE.icon size={18} stroke={1.7} />
                {t('shell.guide')}
              </a>
            )}
          </div>
        );
      })}
    </Box>
  );
}
