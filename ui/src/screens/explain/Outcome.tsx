import { Alert, Anchor, Badge, Collapse, Group, Stack, Table, Text, UnstyledButton } from '@mantine/core';
import { IconChevronDown, IconChevronRight, IconFlame, IconHandStop } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { useCountdown, useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { wordKey } from './rule';
import { RuleText } from './RuleText';

/** Attempts and exclusions that the gateway tells at most. */
const MOST = 100;

/** What would happen: where the request goes, what else is tried, and what is left out. */
export function Outcome({ told }: { told: Schemas['Explanation'] }) {
  const { t } = useTranslation(['explain', 'common']);
  const first = told.attempts[0];
  return (
    <Stack>
      <Panel>
        {first ? (
          <Text size="lg">
            <bdi>{told.model}</bdi>
            {' → '}
            <Text span fw={650} inherit component="bdi">
              {first.provider}/{first.model}
            </Text>
          </Text>
        ) : (
          <Alert color="orange" icon={<IconHandStop />} title={t('nobody.title')}>
            {t('nobody.text')}
          </Alert>
        )}
        <Text size="sm" mt={4}>
          <RuleText text={told.rule} />
        </Text>
        {told.conversation && <Place conversation={told.conversation} />}
      </Panel>
      {told.attempts.length > 0 && (
        <Panel title={t('plan.title')} actions={<Text size="sm" c="dimmed">{t('plan.about')}</Text>}>
          <Plan attempts={told.attempts} />
        </Panel>
      )}
      {told.excluded.length > 0 && (
        <Panel title={t('excluded.title', { count: told.excluded.length })}>
          <Excluded excluded={told.excluded} />
        </Panel>
      )}
      {told.capabilities && <Capabilities of={told.capabilities} quirks={told.quirks} target={first ? `${first.provider}/${first.model}` : ''} />}
    </Stack>
  );
}

function Place({ conversation }: { conversation: Schemas['Conversation'] }) {
  const { t } = useTranslation(['explain', 'common']);
  const format = useFormat();
  const left = useCountdown(conversation.until);
  const where = [conversation.provider, conversation.model].filter(Boolean).join('/');
  return (
    <Group gap="xs" mt="sm" align="flex-start" wrap="nowrap">
      <IconFlame size={18} style={{ flex: 'none' }} color="var(--mantine-color-orange-6)" />
      <div>
        <Text size="sm">{t(`places.${conversation.place}`, { defaultValue: conversation.place })}</Text>
        {where && (
          <Text size="xs" c="dimmed">
            <bdi>{where}</bdi>
            {conversation.key && <bdi> · {conversation.key}</bdi>}
            {conversation.tokens != null && ` · ${t('place.tokens', { count: conversation.tokens, shown: format.number(conversation.tokens) })}`}
            {left && ` · ${t('place.until', { left })}`}
            {conversation.why && ` · ${t(`whys.${wordKey(conversation.why)}`, { defaultValue: conversation.why })}`}
          </Text>
        )}
      </div>
    </Group>
  );
}

function Plan({ attempts }: { attempts: Schemas['Attempt'][] }) {
  const { t } = useTranslation(['explain', 'common']);
  const [all, setAll] = useState(false);
  const shown = all ? attempts : attempts.slice(0, 12);
  return (
    <>
      <Table.ScrollContainer minWidth={900} type="native">
        <Table aria-label={t('plan.title')} style={{ whiteSpace: 'nowrap' }}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={40}>{t('plan.order')}</Table.Th>
              <Table.Th>{t('plan.provider')}</Table.Th>
              <Table.Th>{t('plan.model')}</Table.Th>
              <Table.Th>{t('plan.key')}</Table.Th>
              <Table.Th>{t('plan.protocol')}</Table.Th>
              <Table.Th ta="right">{t('plan.priority')}</Table.Th>
              <Table.Th ta="right">{t('plan.weight')}</Table.Th>
              <Table.Th>{t('plan.address')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {shown.map((attempt, at) => (
              <Table.Tr key={at}>
                <Table.Td>{at + 1}</Table.Td>
                <Table.Td>
                  <Anchor component={Link} to="/providers" search={{ open: attempt.provider } as never} size="sm">
                    <bdi>{attempt.provider}</bdi>
                  </Anchor>
                </Table.Td>
                <Table.Td>
                  <bdi>{attempt.model}</bdi>
                </Table.Td>
                <Table.Td>
                  <bdi>{attempt.key}</bdi>
                </Table.Td>
                <Table.Td>
                  {t(`common:protocols.${attempt.protocol}`, { defaultValue: attempt.protocol })}{' '}
                  <Badge color={attempt.way === 'translated' ? 'blue' : 'gray'} size="sm">
                    {t(`ways.${wordKey(attempt.way)}`, { defaultValue: attempt.way })}
                  </Badge>
                </Table.Td>
                <Table.Td ta="right">{attempt.priority}</Table.Td>
                <Table.Td ta="right">{attempt.weight}</Table.Td>
                <Table.Td>
                  <Text size="xs" c="dimmed">
                    {attempt.address}
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {attempts.length > shown.length && (
        <Anchor component="button" size="sm" mt="xs" onClick={() => setAll(true)}>
          {t('plan.more', { count: attempts.length - shown.length })}
        </Anchor>
      )}
      {attempts.length >= MOST && (
        <Text size="xs" c="dimmed" mt={4}>
          {t('plan.most', { count: MOST })}
        </Text>
      )}
    </>
  );
}

function Excluded({ excluded }: { excluded: Schemas['Excluded'][] }) {
  const { t } = useTranslation(['explain', 'common']);
  return (
    <Table.ScrollContainer minWidth={520} type="native" tabIndex={0} role="group" aria-label={t('excluded.label')}>
      <Table aria-label={t('excluded.label')}>
        <Table.Tbody>
          {excluded.map((one, at) => (
            <Table.Tr key={at}>
              <Table.Td>
                <bdi>
                  {one.provider}/{one.model}
                </bdi>
              </Table.Td>
              <Table.Td>
                <bdi>{one.key}</bdi>
              </Table.Td>
              <Table.Td>{t(`whys.${wordKey(one.why)}`, { defaultValue: one.why })}</Table.Td>
              <Table.Td>{one.until ? <Until at={one.until} /> : null}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Until({ at }: { at: number }) {
  const { t } = useTranslation(['explain', 'common']);
  const left = useCountdown(at);
  const format = useFormat();
  return (
    <Text size="sm" c="dimmed">
      {left ? t('excluded.until', { time: format.time(at), left }) : t('excluded.over')}
    </Text>
  );
}

function Capabilities({ of, quirks, target }: { of: Record<string, unknown>; quirks?: string | null; target: string }) {
  const { t } = useTranslation(['explain', 'common']);
  const format = useFormat();
  const [open, setOpen] = useState(false);
  const yes = Object.entries(of).filter(([, value]) => value === true);
  const no = Object.entries(of).filter(([, value]) => value === false);
  const rest = Object.entries(of).filter(([, value]) => typeof value === 'number' || typeof value === 'string' || (Array.isArray(value) && value.length > 0));
  const named = (name: string) => t(`can.names.${name}`, { defaultValue: name.replaceAll('_', ' ') });
  const told = (value: unknown) => (typeof value === 'number' ? format.number(value) : Array.isArray(value) ? value.join(', ') : String(value));
  return (
    <Panel>
      <UnstyledButton onClick={() => setOpen(!open)} aria-expanded={open}>
        <Group gap={6} wrap="nowrap">
          {open ? <IconChevronDown size={16} style={{ flexShrink: 0 }} /> : <IconChevronRight size={16} style={{ flexShrink: 0 }} />}
          <Text fw={600} size="sm">
            {t('can.title', { target })}
          </Text>
        </Group>
      </UnstyledButton>
      <Collapse expanded={open}>
        <Stack gap="sm" mt="sm">
          {quirks && (
            <Text size="sm">
              {t('can.quirks')} <code>{quirks}</code>
            </Text>
          )}
          <Group gap={6}>
            {rest.map(([name, value]) => (
              <Badge key={name} color="gray" variant="outline">
                {named(name)}: {told(value)}
              </Badge>
            ))}
          </Group>
          <div>
            <Text size="xs" c="dimmed" mb={4}>
              {t('can.yes')}
            </Text>
            <Group gap={6}>
              {yes.map(([name]) => (
                <Badge key={name} color="teal">
                  {named(name)}
                </Badge>
              ))}
            </Group>
          </div>
          <div>
            <Text size="xs" c="dimmed" mb={4}>
              {t('can.no')}
            </Text>
            <Group gap={6}>
              {no.map(([name]) => (
                <Badge key={name} color="gray">
                  {named(name)}
                </Badge>
              ))}
            </Group>
          </div>
        </Stack>
      </Collapse>
    </Panel>
  );
}
