import { ScrollArea, Table, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { classes, type Row } from './figures';

/** Tokens and the like by class and attempt, and what each cost. */
export function UsageTable({ row }: { row: Row }) {
  const { t } = useTranslation(['requests', 'common']);
  const format = useFormat();
  const found = classes(row.attempts);
  const attempts = row.attempts.filter((attempt) => attempt.tokens > 0 || Object.keys(attempt.counts).length > 0);
  if (found.length === 0) return <Text size="sm" c="dimmed">{t('usage.none')}</Text>;
  return (
    <>
      <ScrollArea type="auto">
        <Table withTableBorder>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('usage.class')}</Table.Th>
              {attempts.map(({ n, provider }) => (
                <Table.Th key={n} ta="right">
                  {n}. <bdi>{provider}</bdi>
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {found.map((name) => (
              <Table.Tr key={name}>
                <Table.Td>
                  {t(`classes.${name}`, { defaultValue: name })}
                </Table.Td>
                {attempts.map(({ n, counts }) => (
                  <Table.Td key={n} ta="right">
                    {format.number(counts[name] as number | undefined)}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
            <Table.Tr>
              <Table.Th scope="row">{t('columns.cost')}</Table.Th>
              {attempts.map(({ n, cost, currency, unpriced, charged }) => (
                <Table.Td key={n} ta="right" fw={600}>
                  {cost != null && currency ? format.money({ [currency]: cost }) : '–'}
                  {unpriced && <Text size="xs" c="dimmed" fw={400}>{t('usage.unpriced')}</Text>}
                  {!charged && <Text size="xs" c="dimmed" fw={400}>{t('usage.free')}</Text>}
                </Table.Td>
              ))}
            </Table.Tr>
          </Table.Tbody>
        </Table>
      </ScrollArea>
      {Object.keys(row.cost).length === 0 && <Text size="xs" c="dimmed" mt={4}>{t('usage.noPrice')}</Text>}
    </>
  );
}
