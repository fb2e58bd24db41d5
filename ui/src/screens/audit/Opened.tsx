import { Drawer, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { getJson } from '../../api/list';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useFocusBack } from '../../widgets/useFocusBack';
import { Waiting } from '../../widgets/Waiting';
import { type Entry, moment, type Only } from './audit';
import { Detail } from './Detail';

interface Props {
  id: string;
  /** When it was: entries can be asked for by their time, but not by their id. */
  at: string;
  listed: Entry | undefined;
  onClose: () => void;
  /** Shows all that have something in common with it. */
  onFilter: (only: Only) => void;
}

/** The entry that the address names, also where the list has not come so far. */
export function Opened({ id, at, listed, onClose, onFilter }: Props) {
  const { t } = useTranslation(['audit', 'common']);
  const when = moment(at);
  const { data, error, isLoading, refetch } = useQuery({
    queryKey: ['get', '/admin/api/audit', 'one', id, at],
    queryFn: async ({ signal }) => (await getJson<{ audit: Entry[] }>('/admin/api/audit', { ...when, limit: 500 }, signal)).audit.find((entry) => entry.id === id) ?? null,
    enabled: id !== '' && listed === undefined && when !== null,
    staleTime: Infinity,
  });
  useFocusBack(id !== '');
  if (id === '') return null;
  const entry = listed ?? data;
  if (entry) return <Detail entry={entry} onClose={onClose} onFilter={onFilter} />;
  return (
    <Drawer opened onClose={onClose} size="lg" title={t('common:screens.audit')} closeButtonProps={{ 'aria-label': t('common:close') }}>
      {isLoading ? <Waiting /> : error ? <ProblemAlert problem={error} onRetry={() => void refetch()} /> : <Text size="sm">{t('gone')}</Text>}
    </Drawer>
  );
}
