import { Anchor, Badge, Drawer, Group, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { CopyIcon } from '../../widgets/Copy';
import { Facts } from '../../widgets/Facts';
import { useFormat } from '../../widgets/format';
import { JsonView } from '../../widgets/JsonView';
import { actionWords, type Entry, hasDetail, linkTo, objectName, wasDone } from './audit';

/** One thing that was done: who, from where, and what was given. */
export function Detail({ entry, onClose }: { entry: Entry; onClose: () => void }) {
  const { t } = useTranslation(['audit', 'common']);
  const format = useFormat();
  const link = linkTo(entry);
  const name = objectName(entry);
  return (
    <Drawer opened onClose={onClose} size="lg" title={actionWords(entry.action, t as never)} closeButtonProps={{ 'aria-label': t('common:close') }}>
      <Stack gap="md">
        <Facts
          facts={[
            [t('at'), format.time(entry.at)],
            [t('actor'), <ActorName key="actor" entry={entry} />],
            [t('result'), <Result key="result" entry={entry} />],
            [t('object'), name && (link ? <Anchor component={Link} to={link.to} search={link.search as never} underline="always"><bdi>{name}</bdi></Anchor> : <bdi>{name}</bdi>)],
            [t('objectId'), entry.object && entry.object !== name ? <Copied key="id" text={entry.object} label={t('copyId')} /> : null],
            [t('address'), entry.address],
            [t('request'), <Copied key="request" text={entry.request} label={t('copyRequest')} />],
            [t('operation'), <code key="operation">{entry.action}</code>],
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
