import { Button, Group, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { StateBadge } from '../../widgets/StateBadge';
import { byNeed, type LiveProvider } from './live';
import classes from './Live.module.css';

/** As many as fit into two rows of a wide screen. */
const FEW = 12;

/** How each provider fares, those that somebody has to look at first. */
export function ProviderStrip({ providers }: { providers: LiveProvider[] }) {
  const { t } = useTranslation(['dashboard', 'common']);
  const format = useFormat();
  const [all, setAll] = useState(false);
  const sorted = byNeed(providers);
  return (
    <section aria-label={t('providers.title')}>
      <Group justify="space-between" mb={6}>
        <Text size="sm" c="dimmed">
          {t('providers.about')}
        </Text>
        {sorted.length > FEW && (
          <Button size="compact-xs" variant="subtle" onClick={() => setAll(!all)}>
            {all ? t('providers.fewer') : t('providers.all', { count: sorted.length })}
          </Button>
        )}
      </Group>
      <ul className={classes.providers}>
        {(all ? sorted : sorted.slice(0, FEW)).map(({ name, state, requests, failed, in_flight }) => (
          <li key={name}>
            <Link to="/providers" search={{ open: name } as never} className={classes.provider}>
              <Group justify="space-between" wrap="nowrap" gap={6}>
                <bdi className={classes.name}>{name}</bdi>
                <span className={classes.state}>
                  <StateBadge state={state} />
                </span>
              </Group>
              <Text size="xs" c="dimmed">
                {t('providers.rate', { rate: format.number(requests / 60, 1) })}
                {in_flight > 0 && ` · ${t('providers.inFlight', { count: in_flight })}`}
                {failed > 0 && (
                  <Text span inherit c="var(--mantine-color-error)" fw={600}>
                    {' · '}
                    {t('live.errors', { count: failed })}
                  </Text>
                )}
              </Text>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
