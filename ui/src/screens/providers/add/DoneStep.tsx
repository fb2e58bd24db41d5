import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useStatus } from '../../../app/session';
import { Code } from '../../../widgets/Copy';
import { curlLine, keyShown } from '../../../widgets/curl';
import type { Saved } from './useSave';

interface Props {
  saved: Saved;
  provider: string;
  /** What a first request may name. */
  model: string | undefined;
  onDone: () => void;
  onMore?: () => void;
}

/** It is there: what was made, and how it is asked. */
export function DoneStep({ saved, provider, model, onDone, onMore }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const { data: status } = useStatus();
  const results = saved.made?.results ?? [];
  const made = (list: string) => results.filter((one) => one.list === list && one.result === 'created');
  const twice = results.filter((one) => one.list === 'credentials' && one.result === 'exists').length;
  const pools = [...made('pools').map((one) => one.name), ...saved.extended];
  return (
    <Stack gap="sm">
      <Alert color="teal" icon={<IconCircleCheck />} role="status" title={t('done.title')}>
        <Text size="sm">
          <bdi>{provider}</bdi> · {t('done.credentials', { count: made('credentials').length })}
          {twice > 0 && ` · ${t('done.twice', { count: twice })}`}
          {pools.length > 0 && (
            <>
              {' '}
              · {t('done.pools')} <bdi>{pools.join(', ')}</bdi>
            </>
          )}
        </Text>
      </Alert>
      {model && (
        <>
          <Text size="sm">{t('done.curl')}</Text>
          <Code text={curlLine(window.location.origin, model, keyShown(undefined, status?.open))} label={t('done.curl')} />
          {status && !status.open && (
            <Text size="sm" c="dimmed">
              {t('done.key')} <Link to="/keys">{t('common:screens.keys')}</Link>
            </Text>
          )}
        </>
      )}
      <Group justify="flex-end">
        {onMore && (
          <Button variant="subtle" onClick={onMore}>
            {t('done.more')}
          </Button>
        )}
        {model && (
          <Button variant="default" component={Link} to="/playground" search={{ model } as never}>
            {t('done.playground')}
          </Button>
        )}
        <Button onClick={onDone}>{t('done.close')}</Button>
      </Group>
    </Stack>
  );
}
