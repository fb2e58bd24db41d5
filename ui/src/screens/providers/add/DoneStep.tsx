import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleDashed, IconPlugConnected } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useStatus } from '../../../app/session';
import { Code } from '../../../widgets/Copy';
import { curlLine, keyShown } from '../../../widgets/curl';
import { TryReport } from './TryReport';
import { poolsWith, type Saved } from './useSave';
import type { useTry } from './useTry';

interface Props {
  saved: Saved;
  provider: string;
  /** What a first request may name. */
  model: string | undefined;
  /** A model has answered with what is saved. */
  proven: boolean;
  attempt: ReturnType<typeof useTry>;
  /** Asks what is saved. */
  onTry: () => void;
  onDone: () => void;
  onMore?: () => void;
}

/** It is there: what was made, and how it is asked. */
export function DoneStep({ saved, provider, model, proven, attempt, onTry, onDone, onMore }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const { data: status } = useStatus();
  const results = saved.made?.results ?? [];
  const credentials = (result: string) => results.filter((one) => one.list === 'credentials' && one.result === result).length;
  const twice = credentials('exists');
  const pools = poolsWith(saved);
  return (
    <Stack gap="sm">
      <Alert
        color={proven ? 'teal' : 'yellow'}
        icon={proven ? <IconCircleCheck /> : <IconCircleDashed />}
        role="status"
        title={proven ? t('done.title') : t('done.untested')}
      >
        <Text size="sm">
          <bdi>{provider}</bdi> · {t('done.credentials', { count: credentials('created') })}
          {twice > 0 && ` · ${t('done.twice', { count: twice })}`}
          {pools.length > 0 && (
            <>
              {' '}
              · {t('done.pools')} <bdi>{pools.join(', ')}</bdi>
            </>
          )}
        </Text>
        {!proven && (
          <Text size="sm" mt={4}>
            {t('done.untestedText')}
          </Text>
        )}
      </Alert>
      <div aria-live="polite">
        <TryReport attempt={attempt} />
      </div>
      {!proven && (
        <Button size="xs" variant="default" leftSection={<IconPlugConnected size={15} />} style={{ alignSelf: 'flex-start' }} disabled={attempt.pending} onClick={onTry}>
          {t('done.test')}
        </Button>
      )}
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
