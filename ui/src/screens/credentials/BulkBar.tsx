import { ActionIcon, Button, Group, Menu, Paper, Text } from '@mantine/core';
import { IconActivity, IconChevronDown, IconGauge, IconHeartbeat, IconPlayerPause, IconPlayerPlay, IconRefresh, IconTrash, IconX } from '@tabler/icons-react';
import type { ComponentType } from 'react';
import { useTranslation } from 'react-i18next';

import { type Act, BULK } from './acts';

export const ICONS: Record<Act, ComponentType<{ size?: number }>> = {
  enable: IconPlayerPlay,
  disable: IconPlayerPause,
  refresh: IconRefresh,
  probe: IconActivity,
  revive: IconHeartbeat,
  quota: IconGauge,
  delete: IconTrash,
};

interface Props {
  count: number;
  onAct: (act: Act) => void;
  onClear: () => void;
  /** Picks everything that fits the filters, also what has not been fetched yet. */
  onAll?: () => void;
  pickingAll: boolean;
}

/** What can be done to the rows that are picked. */
export function BulkBar({ count, onAct, onClear, onAll, pickingAll }: Props) {
  const { t } = useTranslation(['credentials', 'common']);
  if (count === 0) return null;
  return (
    <Paper withBorder p={6} mb="sm" role="toolbar" aria-label={t('bulk.label')}>
      <Group gap={6}>
        <ActionIcon variant="subtle" color="gray" onClick={onClear} aria-label={t('bulk.clear')}>
          <IconX size={16} />
        </ActionIcon>
        <Text size="sm" fw={600} role="status">
          {t('bulk.picked', { count })}
        </Text>
        {onAll && (
          <Button size="compact-xs" variant="subtle" onClick={onAll} loading={pickingAll}>
            {t('bulk.all')}
          </Button>
        )}
        <Group gap={6} visibleFrom="sm">
          {BULK.map((act) => {
            const Icon = ICONS[act];
            return (
              <Button key={act} size="compact-sm" variant={act === 'delete' ? 'light' : 'default'} color={act === 'delete' ? 'red' : undefined} leftSection={<Icon size={14} />} onClick={() => onAct(act)}>
                {t(`acts.${act}`)}
              </Button>
            );
          })}
        </Group>
        <Menu position="bottom-end">
          <Menu.Target>
            <Button hiddenFrom="sm" size="compact-sm" variant="default" rightSection={<IconChevronDown size={14} />}>
              {t('columns.actions')}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {BULK.map((act) => (
              <Menu.Item key={act} c={act === 'delete' ? 'var(--mantine-color-red-light-color)' : undefined} onClick={() => onAct(act)}>
                {t(`acts.${act}`)}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      </Group>
    </Paper>
  );
}
