import { Alert, Anchor, Stack, Text } from '@mantine/core';
import { IconEyeOff, IconScissors } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { Trans, useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import { Code } from '../../widgets/Copy';
import { JsonView } from '../../widgets/JsonView';
import type { Row } from './figures';

/** Prompt and answer where they are kept; where they are not, what to do to keep them. */
export function Said({ row }: { row: Row }) {
  const { t } = useTranslation(['requests', 'common']);
  const may = useMay();
  const { payload } = row;
  if (payload?.request || payload?.answer) {
    return (
      <Stack gap="sm">
        {payload.truncated && (
          <Alert color="orange" variant="light" icon={<IconScissors />}>
            {t('said.truncated')}
          </Alert>
        )}
        {payload.request && <JsonView label={t('said.request')} text={payload.request} />}
        {payload.answer && <JsonView label={t('said.answer')} text={payload.answer} />}
        <Text size="xs" c="dimmed">
          {t('said.masked')}
        </Text>
      </Stack>
    );
  }
  return (
    <Alert color="gray" variant="light" icon={<IconEyeOff />} title={t('said.none')}>
      <Text size="sm">
        {row.key ? (
          <Trans
            t={t}
            i18nKey="said.byKey"
            components={{ keys: <Anchor component={Link} to="/keys" search={{ id: row.key.id } as never} size="sm" inherit /> }}
          />
        ) : (
          t('said.byAnyKey')
        )}
      </Text>
      {may('admin') && (
        <>
          <Text size="sm" mt={6} mb={4}>
            <Trans t={t} i18nKey="said.byRoute" components={{ routes: <Anchor component={Link} to="/routes" search={{ open: 'new' } as never} size="sm" inherit /> }} />
          </Text>
          <Code text={`routes:\n  - match: { model: ${JSON.stringify(row.model)} }\n    to: …\n    capture: true`} label={t('said.inFile')} />
        </>
      )}
    </Alert>
  );
}
