import { Badge, Button, Group, Loader, Text, Tooltip } from '@mantine/core';
import { IconBroadcast, IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { useLive } from './useLive';

/** Begins and ends following, and tells how it fares. */
export function LiveBar({ on, possible, onToggle, live }: { on: boolean; possible: boolean; onToggle: (on: boolean) => void; live: Omit<ReturnType<typeof useLive>, 'isFresh'> }) {
  const { t } = useTranslation(['requests', 'common']);
  const { tail, state, problem } = live;
  if (!possible) {
    return (
      <Tooltip label={t('live.past')}>
        <Button variant="default" leftSection={<IconBroadcast size={16} />} data-disabled onClick={(event) => event.preventDefault()} aria-disabled>
          {t('live.follow')}
        </Button>
      </Tooltip>
    );
  }
  if (!on) {
    return (
      <Button variant="default" leftSection={<IconBroadcast size={16} />} onClick={() => onToggle(true)}>
        {t('live.follow')}
      </Button>
    );
  }
  return (
    <Group gap={6}>
      <Group gap={6} role="status">
        {tail.missed > 0 && (
          <Text size="xs" c="dimmed">
            {t('live.missed', { count: tail.missed })}
          </Text>
        )}
        {state === 'lost' ? (
          <Tooltip label={problem?.detail || t(`common:problems.${problem?.code ?? 'offline'}`, { defaultValue: '' }) || t('live.lostAbout')} multiline maw={360}>
            <Badge color="orange" size="lg" leftSection={<Loader size={10} color="orange" />}>
              {t('live.lost')}
            </Badge>
          </Tooltip>
        ) : (
          <Badge color={tail.paused ? 'gray' : 'teal'} size="lg" leftSection={<IconBroadcast size={13} />} data-live={state}>
            {tail.paused ? t('live.paused') : state === 'live' ? t('live.live') : t('live.connecting')}
          </Badge>
        )}
      </Group>
      <Button variant="default" leftSection={tail.paused ? <IconPlayerPlay size={16} /> : <IconPlayerPause size={16} />} onClick={tail.paused ? live.resume : live.pause}>
        {tail.paused ? (tail.waiting > 0 ? t('live.resumeWith', { count: tail.waiting }) : t('live.resume')) : t('live.pause')}
      </Button>
      <Button variant="subtle" color="gray" onClick={() => onToggle(false)}>
        {t('live.end')}
      </Button>
    </Group>
  );
}
