import { Alert, Button, Group, List, Stack, Text } from '@mantine/core';
import { IconDownload, IconInfoCircle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useChange } from '../../api/query';
import { useStatus } from '../../app/session';
import { Code } from '../../widgets/Copy';
import { fileName } from '../../widgets/csv';
import { fetchFile } from '../../widgets/file';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';

/** A copy of everything, and how it is put back. */
export function Backup() {
  const { t } = useTranslation(['settings', 'common']);
  const status = useStatus().data;
  const copy = useChange((of: 'store' | 'log') => fetchFile(`/admin/api/backup?of=${of}`, fileName(of === 'log' ? 'log' : 'backup', 'db'), 'POST'));
  const postgres = status?.database === 'postgres';
  return (
    <Stack gap="md">
      <Panel title={t('backup.title')}>
        <Stack gap="sm">
          <Text size="sm">{t('backup.about')}</Text>
          <List size="sm">
            {(['declared', 'people', 'settings', 'audit'] as const).map((part) => (
              <List.Item key={part}>{t(`backup.${part}`)}</List.Item>
            ))}
          </List>
          <Alert variant="light" color="orange" icon={<IconInfoCircle />}>
            {t('backup.key')}
          </Alert>
          {postgres ? (
            <>
              <Text size="sm">{t('backup.postgres')}</Text>
              <Code text="pg_dump --format=custom --file=polyport.dump polyport" label={t('backup.command')} />
            </>
          ) : (
            <Group gap="sm">
              <Button leftSection={<IconDownload size={16} />} loading={copy.isPending && copy.variables === 'store'} disabled={copy.isPending} onClick={() => copy.mutate('store')}>
                {t('backup.download')}
              </Button>
              <Button variant="default" leftSection={<IconDownload size={16} />} loading={copy.isPending && copy.variables === 'log'} disabled={copy.isPending} onClick={() => copy.mutate('log')}>
                {t('backup.downloadLog')}
              </Button>
            </Group>
          )}
          <ProblemAlert problem={copy.error} />
          {!postgres && (
            <>
              <Text size="sm" c="dimmed">
                {t('backup.large')}
              </Text>
              <Code text="polyport backup polyport-backup.db" label={t('backup.command')} />
            </>
          )}
        </Stack>
      </Panel>
      {!postgres && (
        <Panel title={t('backup.restore')}>
          <Text size="sm" mb="sm">
            {t('backup.restoreText')}
          </Text>
          <Code text="polyport restore polyport-backup.db" label={t('backup.command')} />
        </Panel>
      )}
    </Stack>
  );
}
