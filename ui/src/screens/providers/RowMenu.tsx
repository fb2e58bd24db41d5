import { ActionIcon, Menu } from '@mantine/core';
import { IconDotsVertical, IconListSearch, IconPencil, IconPlayerPause, IconPlayerPlay, IconTrash } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { useAct } from '../../widgets/act';
import type { Provider } from './columns';

/** What can be done about a provider without opening it. */
export function RowMenu({ provider, onOpen, onDelete }: { provider: Provider; onOpen: (name: string, tab?: string) => void; onDelete: (provider: Provider) => void }) {
  const { t } = useTranslation(['providers', 'common']);
  const turn = useSwitch();
  const own = provider.origin === 'database';
  const switchable = own || provider.origin === 'file';
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`${t('columns.actions')}: ${provider.name}`}>
          <IconDotsVertical size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconListSearch size={16} />} onClick={() => onOpen(provider.name, 'models')}>
          {t('actions.models')}
        </Menu.Item>
        <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => onOpen(provider.name, 'definition')}>
          {t('common:edit')}
        </Menu.Item>
        <Menu.Item
          disabled={!switchable}
          leftSection={provider.enabled ? <IconPlayerPause size={16} /> : <IconPlayerPlay size={16} />}
          onClick={() => turn.run({ name: provider.name, on: !provider.enabled })}
        >
          {provider.enabled ? t('common:disable') : t('common:enable')}
        </Menu.Item>
        <Menu.Item disabled={!own} c="var(--mantine-color-red-light-color)" leftSection={<IconTrash size={16} />} onClick={() => onDelete(provider)}>
          {t('common:delete')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** Switches a provider on or off, for good. */
export function useSwitch() {
  const { t } = useTranslation(['providers', 'common']);
  return useAct(
    async ({ name, on }: { name: string; on: boolean }) => {
      const options = { params: { path: { id: name } } };
      if (on) await api.POST('/admin/api/providers/{id}/enable', options);
      else await api.POST('/admin/api/providers/{id}/disable', options);
    },
    {
      refreshes: ['/admin/api/providers', '/admin/api/credentials', '/admin/api/models', '/admin/api/status'],
      done: (_, { name, on }) => t(on ? 'actions.enabled' : 'actions.disabled', { name }),
    },
  );
}
