import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { LossTable } from '../explain/LossTable';
import { readLosses } from './losses';

/** What could not be carried to the provider or back, as the log keeps it. */
export function Losses({ report, count }: { report: string | null | undefined; count: number }) {
  const { t } = useTranslation(['requests', 'common']);
  const { losses, more, rest } = readLosses(report);
  return (
    <>
      {losses.length > 0 && <LossTable losses={losses} />}
      {rest && (
        <Text size="sm" ff="monospace">
          {rest}
        </Text>
      )}
      {more > 0 && (
        <Text size="sm" c="dimmed" mt={4}>
          {t('losses.more', { count: more })}
        </Text>
      )}
      {losses.length === 0 && rest === '' && (
        <Text size="sm" c="dimmed">
          {t('losses.counted', { count })}
        </Text>
      )}
    </>
  );
}
