import { Button, Menu } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { authStore } from '../../api/auth';
import { getJson, type Query, withQuery } from '../../api/list';
import { useAct } from '../../widgets/act';
import { fetchFile } from '../../widgets/file';

const PATH = '/admin/api/requests';

/** Everything that is looked for, as a file. */
export function ExportMenu({ query }: { query: Query }) {
  const { t } = useTranslation(['requests', 'common']);
  const taken = useAct((kind: 'csv' | 'jsonl') => take(query, kind));
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={16} />} loading={taken.isPending}>
          {t('export.do')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('export.about')}</Menu.Label>
        {(['csv', 'jsonl'] as const).map((kind) => (
          <Menu.Item key={kind} onClick={() => taken.run(kind)}>
            {t(`export.${kind}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

async function take(query: Query, kind: 'csv' | 'jsonl'): Promise<void> {
  const [path, name] = [withQuery(`${PATH}/export`, { ...query, format: kind }), `requests.${kind}`];
  // A link shows a cookie, but no admin key: with one the file is held in memory before it is handed over.
  if (authStore.get().adminKey !== undefined) return fetchFile(path, name);
  // What goes wrong with a link is told to nobody, so what can go wrong is found out before: the session, the filters, the connection.
  await getJson(PATH, { ...query, limit: 1 });
  const link = document.createElement('a');
  [link.href, link.download] = [path, name];
  link.click();
}
