import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useFormat } from '../../widgets/format';
import { type Figure, Figures } from './Figures';

const COLOURS: Record<string, string> = { ready: 'teal', cooling: 'orange', exhausted: 'grape', refreshing: 'blue', invalid: 'red', disabled: 'gray' };

/** How many credentials are in which state; a click shows only those. */
export function Statistics({ state, onState }: { state: string; onState: (state: string) => void }) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const { data } = useQuery({
    queryKey: ['get', '/admin/api/credentials/statistics'],
    queryFn: async ({ signal }) => (await api.GET('/admin/api/credentials/statistics', { signal })).data as Schemas['CredentialStatistics'],
    refetchInterval: 5_000,
  });
  if (!data) return null;
  const judged = data.successes + data.failures;
  const figures: Figure[] = [
    { name: t('statistics.total'), value: format.number(data.total) },
    { name: t('statistics.usable'), value: format.number(data.usable) },
    ...Object.keys(COLOURS)
      .filter((name) => name === 'ready' || (data.states[name] ?? 0) > 0 || name === state)
      .map((name) => ({
        name: t(`common:states.${name}`),
        value: format.number(data.states[name] ?? 0),
        colour: COLOURS[name],
        picked: state === name,
        onPick: () => onState(state === name ? '' : name),
      })),
    { name: t('statistics.requests'), value: format.short(data.requests) },
    { name: t('columns.rate'), value: format.percent(judged > 0 ? data.successes / judged : null) },
  ];
  return <Figures figures={figures} label={t('statistics.label')} />;
}
