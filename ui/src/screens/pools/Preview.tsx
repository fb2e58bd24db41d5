import { Group, Loader, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { Problem } from '../../api/problem';
import { wordKey } from '../explain/rule';
import { colourOf } from './colours';
import classes from './Pools.module.css';

/** Whose turn it would be, twelve requests in a row, as the router itself works it out for what is not saved yet. */
export function Preview({ definition, providers, turns = 12 }: { definition: Record<string, unknown>; providers: string[]; turns?: number }) {
  const { t } = useTranslation(['pools', 'explain', 'common']);
  const any = Array.isArray(definition.targets) && definition.targets.length > 0;
  // One without targets is no question, and what was one before the typing rested is not asked either.
  const [asked] = useDebouncedValue(any ? JSON.stringify(definition) : '', 250);
  const { data, error, isFetching } = useQuery({
    queryKey: ['post', '/admin/api/pools/preview', asked, turns],
    queryFn: async () => (await api.POST('/admin/api/pools/preview', { body: { pool: JSON.parse(asked), turns } })).data,
    enabled: any && asked !== '',
    placeholderData: keepPreviousData,
    retry: false,
  });
  const problem = error ? Problem.of(error) : null;
  return (
    <div>
      <Group gap="xs" mb={6}>
        <Text size="sm" fw={600}>
          {t('preview.title', { count: turns })}
        </Text>
        {isFetching && <Loader size={12} />}
      </Group>
      {!any ? (
        <Text size="sm" c="dimmed">
          {t('preview.empty')}
        </Text>
      ) : problem ? (
        <Text size="sm" c="dimmed">
          {problem.status === 404 || problem.status === 405 ? t('preview.none') : problem.detail || t('preview.none')}
        </Text>
      ) : (
        <ol className={classes.strip} aria-label={t('preview.title', { count: turns })}>
          {data?.turns.map((turn, at) => (
            <li key={at} className={classes.turn}>
              <b style={{ background: `var(--mantine-color-${colourOf(providers, turn.provider)}-light)`, color: `var(--mantine-color-${colourOf(providers, turn.provider)}-light-color)` }}>{at + 1}</b>
              <span>
                <bdi>
                  {turn.provider}/{turn.model}
                </bdi>
              </span>
            </li>
          ))}
        </ol>
      )}
      {any && !problem && (data?.excluded ?? []).length > 0 && (
        <Text size="xs" mt={6} c="dimmed" component="div">
          {t('preview.excluded')}{' '}
          {[...new Set((data?.excluded ?? []).map((one) => `${one.provider}/${one.model}${one.key && one.key !== 'no key' ? ` (${one.key})` : ''}: ${t(`explain:whys.${wordKey(one.why)}`, { defaultValue: one.why })}`))].slice(0, 5).map((text) => (
            <div key={text}>
              <bdi>{text}</bdi>
            </div>
          ))}
        </Text>
      )}
      <Text size="xs" c="dimmed" mt={6}>
        {t('preview.about')}
      </Text>
    </div>
  );
}
