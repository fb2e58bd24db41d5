import { Badge, Tabs } from '@mantine/core';
import { IconAdjustments, IconAlertTriangle, IconBell, IconDatabaseExport, IconFileText, IconInfoCircle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { useStatus } from '../../app/session';
import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import { About } from './About';
import { Backup } from './Backup';
import { Configuration } from './Configuration';
import { General } from './General';
import { Notifications } from './Notifications';
import { Problems } from './Problems';

const TABS = { general: IconAdjustments, notifications: IconBell, backup: IconDatabaseExport, configuration: IconFileText, problems: IconAlertTriangle, about: IconInfoCircle };
type Tab = keyof typeof TABS;

/** What holds for the gateway as a whole. */
export default function Settings() {
  const { t } = useTranslation(['settings', 'common']);
  const [search, setSearch] = useSearch({ tab: 'general', q: '', section: '', own: '' });
  const problems = useStatus().data?.problems ?? 0;
  const tab: Tab = Object.hasOwn(TABS, search.tab) ? (search.tab as Tab) : 'general';
  return (
    <>
      <PageHeader title={t('common:screens.settings')} about={t('about')} />
      <Tabs value={tab} onChange={(tab) => tab && setSearch({ tab })} keepMounted={false}>
        <Tabs.List mb="md">
          {Object.entries(TABS).map(([name, Icon]) => (
            <Tabs.Tab
              key={name}
              value={name}
              leftSection={<Icon size={16} stroke={1.7} />}
              rightSection={name === 'problems' && problems > 0 ? <Badge size="sm" color="orange">{problems}</Badge> : undefined}
            >
              {t(`tabs.${name}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={tab}>
          {tab === 'general' && <General q={search.q} section={search.section} own={search.own !== ''} onChange={setSearch} />}
          {tab === 'notifications' && <Notifications />}
          {tab === 'backup' && <Backup />}
          {tab === 'configuration' && <Configuration />}
          {tab === 'problems' && <Problems />}
          {tab === 'about' && <About />}
        </Tabs.Panel>
      </Tabs>
    </>
  );
}
