import { Anchor, Badge, Button, Card, Group, Stack, Text, Title, Tooltip } from '@mantine/core';
import { IconAlertTriangle, IconArrowDown, IconFileText, IconPlus } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { colourOf } from './colours';
import { draftOf, groupsOf, type Pool, providerOf, sharesByRow, type Tier, TIER_NAMES, TIER_WORDS } from './pool';
import classes from './Pools.module.css';

/** Targets that a card shows; the editor shows all. */
const MOST = 6;

/** A pool at a glance: what it consists of, in which order, and how well conversations stay where their cache is. */
export function PoolCard({ pool, onOpen }: { pool: Pool; onOpen: () => void }) {
  const { t } = useTranslation(['pools', 'common']);
  const format = useFormat();
  const draft = draftOf(pool);
  const shares = sharesByRow(draft);
  const groups = groupsOf(draft.rows);
  const providers = [...new Set(groups.flatMap((group) => group.targets.map((row) => providerOf(row.target))))];
  const total = groups.reduce((sum, group) => sum + group.targets.length, 0);
  const conversations = pool.conversations;
  const known = (conversations?.kept ?? 0) + (conversations?.moved ?? 0) + (conversations?.new ?? 0);
  let left = MOST;
  return (
    <Card withBorder padding="md" style={{ background: 'var(--app-panel)', borderColor: 'var(--app-line)' }} data-pool={pool.name}>
      <Stack gap="xs" style={{ flex: 1 }}>
        <Group justify="space-between" wrap="nowrap" align="flex-start">
          <div style={{ minWidth: 0 }}>
            <Title order={3}>
              <Anchor component="button" inherit onClick={onOpen}>
                <bdi>{pool.name}</bdi>
              </Anchor>
            </Title>
            <Text size="xs" c="dimmed">
              {draft.tier ? `${t(`tiers.${draft.tier}`)} · ` : ''}
              {t(`strategies.${draft.strategy}`, { defaultValue: draft.strategy })}
            </Text>
          </div>
          <Group gap={4}>
            {pool.enabled === false && <Badge color="gray">{t('common:disabled')}</Badge>}
            {pool.enabled !== false && pool.in_force === false && (
              <Badge color="red" leftSection={<IconAlertTriangle size={11} />}>
                {t('card.broken')}
              </Badge>
            )}
            {pool.origin === 'file' && (
              <Tooltip label={t('fileOwned')} multiline maw={320}>
                <Badge color="gray" leftSection={<IconFileText size={11} />}>
                  {t('common:origins.file')}
                </Badge>
              </Tooltip>
            )}
          </Group>
        </Group>
        <Stack gap={3}>
          {groups.map((group, at) => (
            <div key={group.id}>
              {at > 0 && left > 0 && (
                <Group gap={4} my={2}>
                  <IconArrowDown size={12} color="var(--mantine-color-dimmed)" />
                  <Text size="xs" c="dimmed">
                    {t('card.otherwise')}
                  </Text>
                </Group>
              )}
              {group.targets.map((row) => {
                left -= 1;
                if (left < 0) return null;
                return (
                  <div key={row.id} className={classes.line}>
                    <span className={classes.dot} style={{ background: `var(--mantine-color-${colourOf(providers, providerOf(row.target))}-6)` }} />
                    <bdi title={row.target}>{row.target}</bdi>
                    <Text span size="xs" c="dimmed" ml="auto" style={{ flex: 'none' }}>
                      {shares.has(row.id) && group.targets.length > 1 ? format.percent(shares.get(row.id), 0) : ''}
                    </Text>
                  </div>
                );
              })}
            </div>
          ))}
          {total > MOST && (
            <Text size="xs" c="dimmed">
              {t('card.more', { count: total - MOST })}
            </Text>
          )}
          {draft.fallbacks.length > 0 && (
            <Text size="xs" c="dimmed">
              {t('card.then')}{' '}
              {draft.fallbacks.map((name, at) => (
                <span key={name}>
                  {at > 0 && ', '}
                  <bdi>{name}</bdi>
                </span>
              ))}
            </Text>
          )}
        </Stack>
        <Group justify="space-between" mt="auto" pt="xs" gap="xs">
          <Text size="xs" c="dimmed">
            {known > 0
              ? t('card.cache', { rate: format.percent(conversations?.hit_rate), kept: format.short(conversations?.kept), moved: format.short(conversations?.moved), fresh: format.short(conversations?.new) })
              : t('card.noCache')}
          </Text>
          <Group gap="xs">
            <Anchor component={Link} to="/explain" search={{ model: pool.name } as never} size="xs">
              {t('common:screens.explain')}
            </Anchor>
            <Button size="compact-xs" variant="default" onClick={onOpen}>
              {pool.origin === 'file' ? t('card.look') : t('common:edit')}
            </Button>
          </Group>
        </Group>
      </Stack>
    </Card>
  );
}

/** A tier without a pool: what it is for, and how to get one. */
export function MissingTier({ tier, onMake }: { tier: Tier; onMake: () => void }) {
  const { t } = useTranslation(['pools', 'common']);
  return (
    <Card withBorder padding="md" style={{ background: 'transparent', borderColor: 'var(--app-line)', borderStyle: 'dashed' }} data-missing={tier}>
      <Stack gap="xs" style={{ flex: 1 }}>
        <Title order={3}>{TIER_NAMES[tier]}</Title>
        <Text size="xs" c="dimmed">
          {t(`tiers.${tier}`)} · {t('missing.state')}
        </Text>
        <Text size="sm">{t(`missing.${tier}`)}</Text>
        <Text size="xs" c="dimmed">
          {t('missing.words', { words: TIER_WORDS[tier].join(', ') })}
        </Text>
        <Group mt="auto" pt="xs">
          <Button size="xs" leftSection={<IconPlus size={14} />} onClick={onMake}>
            {t('missing.make')}
          </Button>
        </Group>
      </Stack>
    </Card>
  );
}
