import { Alert, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Row } from './figures';
import { hasFailed } from './filters';

/** What went wrong, in the words the client was told, and what can be done about it. */
export function Why({ row }: { row: Row }) {
  const { t } = useTranslation(['requests', 'common']);
  if (!hasFailed(row.outcome) && !row.error) return null;
  const remedy = t(`remedies.${row.outcome}`, { defaultValue: '' });
  return (
    <Alert color={row.status === 429 ? 'orange' : 'red'} variant="light" icon={<IconAlertTriangle />} title={t(`outcomes.${row.outcome}`, { defaultValue: row.outcome })}>
      {row.error && (
        <Text size="sm">
          <bdi>{row.error}</bdi>
        </Text>
      )}
      {remedy && (
        <Text size="sm" mt={row.error ? 4 : 0}>
          {remedy}
        </Text>
      )}
    </Alert>
  );
}
