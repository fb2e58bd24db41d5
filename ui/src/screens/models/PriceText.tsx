import { Anchor, Badge, Group, Stack, Table, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { type Price, usualRates } from './model';

/** What a million tokens in and out cost. */
export function PriceText({ price }: { price: Price | undefined }) {
  const format = useFormat();
  if (!price) return <Text size="sm" c="dimmed">–</Text>;
  const { input, output } = usualRates(price);
  const money = (amount: string | undefined) => (amount === undefined ? '–' : format.money({ [price.currency]: amount }));
  return (
    <Text size="sm">
      {money(input)}
      {output !== undefined && ` / ${money(output)}`}
    </Text>
  );
}

/** Everything that the shipped table says of a model's price. */
export function PriceTable({ price }: { price: Price }) {
  const { t } = useTranslation(['models', 'common']);
  const format = useFormat();
  const classes = [...new Set(price.sections.flatMap(({ rates }) => Object.keys(rates)))];
  return (
    <Stack gap={6}>
      <Table.ScrollContainer minWidth={300} type="native" tabIndex={0} role="group" aria-label={t('price.title')}>
        <Table aria-label={t('price.title')}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('price.class')}</Table.Th>
              {price.sections.map(({ tier, above }, at) => (
                <Table.Th key={at} ta="right">
                  {t(`price.tiers.${tier}`, { defaultValue: tier })}
                  {above > 0 && ` ${t('price.above', { tokens: format.short(above) })}`}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {classes.map((name) => (
              <Table.Tr key={name}>
                <Table.Td>{t(`price.classes.${name}`, { defaultValue: name.replaceAll('_', ' ') })}</Table.Td>
                {price.sections.map(({ rates }, at) => (
                  <Table.Td key={at} ta="right">
                    {rates[name] === undefined ? '–' : format.money({ [price.currency]: rates[name] })}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Group gap="xs">
        <Text size="xs" c="dimmed">
          {t('price.unit')} {t('price.date', { date: price.date })}
        </Text>
        {/^https:\/\//.test(price.source) ? (
          <Anchor size="xs" href={price.source} target="_blank" rel="noreferrer noopener">
            {t('price.source')}
          </Anchor>
        ) : (
          <Text size="xs" c="dimmed">
            {price.source}
          </Text>
        )}
        {price.varies && <Badge color="yellow">{t('price.varies')}</Badge>}
      </Group>
    </Stack>
  );
}
