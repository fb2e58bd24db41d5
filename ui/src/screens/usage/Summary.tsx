import { SimpleGrid, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { type Format, useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import { change, currenciesOf, type Row } from './sums';

/** The whole of what was used, and how much more or less that is than before. */
export function Summary({ now, then, compare }: { now: Row | undefined; then: Row | undefined; compare: boolean }) {
  const { t } = useTranslation(['usage', 'common']);
  const format = useFormat();
  const rate = (row: Row | undefined) => (row && row.requests > 0 ? row.failed / row.requests : null);
  const currencies = currenciesOf([now, then].filter((row) => row !== undefined));
  const rates = [rate(now), rate(then)] as const;
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
      <Figure name={t('cost')} value={format.money(now?.cost)} note={now?.unpriced ? t('unpriced', { count: now.unpriced }) : undefined}>
        {compare &&
          currencies.map((currency) => (
            <Change
              key={currency}
              now={Number(now?.cost[currency] ?? 0)}
              then={Number(then?.cost[currency] ?? 0)}
              write={(value) => format.money({ [currency]: String(value) })}
              format={format}
            />
          ))}
      </Figure>
      <Figure name={t('requests')} value={format.number(now?.requests ?? 0)}>
        {compare && <Change now={now?.requests ?? 0} then={then?.requests ?? 0} write={(value) => format.number(value)} format={format} />}
      </Figure>
      <Figure name={t('tokens')} value={format.short(now?.tokens ?? 0)} note={now?.estimated ? t('estimated', { count: now.estimated }) : undefined}>
        {compare && <Change now={now?.tokens ?? 0} then={then?.tokens ?? 0} write={format.short} format={format} />}
      </Figure>
      <Figure name={t('errorRate')} value={format.percent(rates[0])}>
        {compare && (
          <Text size="xs" c="dimmed">
            {t('beforeWas', { value: format.percent(rates[1]) })}
          </Text>
        )}
      </Figure>
    </SimpleGrid>
  );
}

function Figure({ name, value, note, children }: { name: string; value: string; note?: string; children?: React.ReactNode }) {
  return (
    <Panel p="sm">
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <Text fw={650} fz={{ base: '1.05rem', xs: '1.3rem' }} lh={1.3}>
        {value}
      </Text>
      {note && (
        <Text size="xs" c="dimmed">
          {note}
        </Text>
      )}
      {children}
    </Panel>
  );
}

/** `+12 (+34 %)`, and how much it was before: more is neither good nor bad. */
export function Change({ now, then, write, format }: { now: number; then: number; write: (value: number) => string; format: Format }) {
  const { t } = useTranslation(['usage', 'common']);
  const { by, rate } = change(now, then);
  const sign = by > 0 ? '+' : by < 0 ? '−' : '±';
  return (
    <>
      <Text size="xs" c="dimmed">
        {sign}
        {write(Math.abs(by))}
        {rate !== null ? ` (${sign}${format.percent(Math.abs(rate))})` : then === 0 && now > 0 ? ` (${t('new')})` : ''}
      </Text>
      <Text size="xs" c="dimmed">
        {t('beforeWas', { value: write(then) })}
      </Text>
    </>
  );
}
