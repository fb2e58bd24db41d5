import { ActionIcon, Anchor, Badge, Drawer, Group, Stack, Text, Tooltip } from '@mantine/core';
import { IconFilter } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { CopyIcon } from '../../widgets/Copy';
import { Facts } from '../../widgets/Facts';
import { useFormat } from '../../widgets/format';
import { JsonView } from '../../widgets/JsonView';
import { actionWords, type Entry, hasDetail, linkTo, objectName, type Only, wasDone } from './audit';

/** One thing that was done: who, from where, and what was given. */
export function Detail({ entry, onClose, onFilter }: { entry: Entry; onClose: () => void; onFilter: (only: Only) => void }) {
  const { t } = useTranslation(['audit', 'common']);
  const format = useFormat();
  const link = linkTo(entry);
  const name = objectName(entry);
  const { actor, action, object, object_kind } = entry;
  /** A value, with a button that shows all that have it. */
  const filtered = (label: string, only: Only, value: ReactNode) => (
    <Group gap={2} wrap="nowrap">
      {value}
      <Tooltip label={t('only')}>
        <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`${t('only')}: ${label}`} onClick={() => onFilter(only)}>
          <IconFilter size={14} />
        </ActionIcon>
      </Tooltip>
    </Group>
  );
  const who = <ActorName entry={entry} />;
  const what = name && (link ? <Anchor component={Link} to={link.to} search={link.search as never} underline="always"><bdi>{name}</bdi></Anchor> : <bdi>{name}</bdi>);
  return (
    <Drawer opened onClose={onClose} size="lg" title={actionWords(entry.action, t as never)} closeButtonProps={{ 'aria-label': t('common:close') }}>
      <Stack gap="md">
        <Facts
          facts={[
            [t('at'), format.time(entry.at)],
            [t('actor'), actor.name ? filtered(t('actor'), { actor: actor.name }, who) : who],
            [t('result'), <Result key="result" entry={entry} />],
            [t('object'), object ? filtered(t('object'), { object, object_kind: object_kind ?? '' }, what) : what],
            [t('objectId'), entry.object && entry.object !== name ? <Copied key="id" text={entry.object} label={t('copyId')} /> : null],
            [t('address'), entry.address],
            [t('request'), <Copied key="request" text={entry.request} label={t('copyRequest')} />],
            [t('operation'), filtered(t('operation'), { action }, <code>{action}</code>)],
          ]}
        />
        {hasDetail(entry.detail) ? (
          <JsonView label={t('given')} value={entry.detail} />
        ) : (
          <Text size="sm" c="dimmed">
            {t('nothingGiven')}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          {t('secrets')}
        </Text>
      </Stack>
    </Drawer>
  );
}

function Copied({ text, label }: { text: string; label: string }) {
  return (
    <Group gap={4} wrap="nowrap">
      <code>{text}</code>
      <CopyIcon text={text} label={label} />
    </Group>
  );
}

/** Who did it: a person, an admin key, or somebody on the machine itself. */
export function ActorName({ entry: { actor } }: { entry: Entry }) {
  const { t } = useTranslation(['audit', 'common']);
  return (
    <span>
      <bdi>{actor.name}</bdi>
      {actor.kind !== 'user' && (
        <Text span size="xs" c="dimmed">
          {' '}
          {t(`actors.${actor.kind}`, { defaultValue: actor.kind })}
        </Text>
      )}
    </span>
  );
}

export function Result({ entry }: { entry: Entry }) {
  const { t } = useTranslation(['audit', 'common']);
  return wasDone(entry) ? <Badge color="teal">{t('done')}</Badge> : <Badge color="red">{t('refused', { status: entry.status })}</Badge>;
}
