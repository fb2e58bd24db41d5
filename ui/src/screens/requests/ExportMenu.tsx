import { Button, Menu } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { authHeaders } from '../../api/client';
import { type Query, withQuery } from '../../api/list';
import { Problem } from '../../api/problem';
import { authStore } from '../../api/auth';
import { useAct } from '../../widgets/act';

const PATH = '/admin/api/requests/export';

/** Everything that is looked for, as a file. */
export function ExportMenu({ query }: { query: Query }) {
  const { t } = useTranslation(['requests', 'common']);
  const fetched = useAct(download);
  // A link shows a cookie, but no admin key: with one the file is fetched and handed over. Links have the advantage that nothing is held in memory.
  const byLink = authStore.get().adminKey === undefined;
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={16} />} loading={fetched.isPending}>
          {t('export.do')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('export.about')}</Menu.Label>
        {(['csv', 'jsonl'] as const).map((kind) => {
          const path = withQuery(PATH, { ...query, format: kind });
          return byLink ? (
            <Menu.Item key={kind} component="a" href={path} download={`requests.${kind}`}>
              {t(`export.${kind}`)}
            </Menu.Item>
          ) : (
            <Menu.Item key={kind} onClick={() => fetched.run({ path, name: `requests.${kind}` })}>
              {t(`export.${kind}`)}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}

async function download({ path, name }: { path: string; name: string }): Promise<void> {
  const response = await fetch(path, { headers: authHeaders('GET') }).catch((error: unknown) => {
    throw Problem.offline(error);
  });
  if (!response.ok) throw await Problem.from(response);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
