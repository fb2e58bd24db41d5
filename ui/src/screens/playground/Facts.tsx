import { Anchor, Badge, Group, List, Text, Tooltip } from '@mantine/core';
import { IconAlertTriangle, IconListSearch } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import { useFormat } from '../../widgets/format';
import { readLossHeader } from '../requests/losses';
import type { Exchange } from './exchange';
import { speed } from './figures';
import { useLogged } from './useCost';

/** What an answer took: times, tokens, cost, where it came from, what was lost, and where it stands in the log. */
export function Facts({ exchange }: { exchange: Exchange }) {
  const { t } = useTranslation(['playground', 'explain', 'requests', 'common']);
  const format = useFormat();
  const may = useMay();
  const { answer, firstMs, totalMs, requestId, state } = exchange;
  const logged = useLogged(requestId, totalMs !== null);
  const usage = answer.usage;
  const perSecond = speed(exchange);
  const losses = readLossHeader(exchange.losses);
  return (
    <Group gap={8}>
      {state === 'stopped' && <Badge color="orange">{t('answer.stopped')}</Badge>}
      {answer.finish && <Badge color="gray" variant="outline" title={t('answer.finish')}>{answer.finish}</Badge>}
      <Text size="xs" c="dimmed">
        {[
          firstMs !== null && t('facts.first', { value: format.duration(firstMs) }),
          totalMs !== null && t('facts.total', { value: format.duration(totalMs) }),
          usage && t('facts.tokens', { input: format.number(usage.input), output: format.number(usage.output) }),
          usage?.cacheRead ? t('facts.cache', { value: format.number(usage.cacheRead) }) : false,
          usage?.reasoning ? t('facts.reasoning', { value: format.number(usage.reasoning) }) : false,
          perSecond !== null && t('facts.speed', { value: format.number(perSecond, 1) }),
          logged && Object.keys(logged.cost).length > 0 && format.money(logged.cost as Record<string, string>),
        ]
          .filter(Boolean)
          .join(' · ')}
      </Text>
      {exchange.target && (
        <Text size="xs" c="dimmed">
          → <bdi>{exchange.target}</bdi>
          {(exchange.attempts ?? 1) > 1 && ` · ${t('requests:attempts.count', { count: exchange.attempts ?? 1 })}`}
        </Text>
      )}
      {losses.length > 0 && (
        <Tooltip
          multiline
          maw={380}
          events={{ hover: true, focus: true, touch: true }}
          label={
            <List size="xs">
              {losses.map(({ code, action }, at) => (
                <List.Item key={at}>
                  {t(`explain:loss.codes.${code.replaceAll('.', '_')}`, { defaultValue: code })}: {t(`explain:loss.actions.${action}`, { defaultValue: action })}
                </List.Item>
              ))}
            </List>
          }
        >
          <Badge color="orange" leftSection={<IconAlertTriangle size={11} />} tabIndex={0}>
            {t('requests:lossCount', { count: losses.length })}
          </Badge>
        </Tooltip>
      )}
      {/* What was asked without a key is nobody's: only admins see it. */}
      {requestId && (logged || may('admin')) && (
        <Anchor component={Link} to="/requests" search={{ id: requestId } as never} size="xs">
          <IconListSearch size={13} style={{ verticalAlign: '-2px' }} /> {t('facts.entry')}
        </Anchor>
      )}
    </Group>
  );
}
