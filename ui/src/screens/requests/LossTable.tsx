import { ScrollArea, Table, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { readLosses } from './losses';

/** What could not be carried to the provider or back, and what was done about it. */
export function LossTable({ report, count }: { report: string | null | undefined; count: number }) {
  const { t } = useTranslation(['requests', 'common']);
  const { losses, more, rest } = readLosses(report);
  return (
    <>
      {losses.length > 0 && (
        <ScrollArea type="auto">
          <Table withTableBorder>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('losses.what')}</Table.Th>
                <Table.Th>{t('losses.action')}</Table.Th>
                <Table.Th>{t('losses.where')}</Table.Th>
                <Table.Th>{t('losses.detail')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {losses.map((loss, at) => (
                <Table.Tr key={at}>
                  <Table.Td>
                    {t(`codes.${loss.code}`, { defaultValue: loss.code })}
                    <Text size="xs" c="dimmed" ff="monospace">
                      {loss.code}
                    </Text>
                  </Table.Td>
                  <Table.Td>{t(`actions.${loss.action}`, { defaultValue: loss.action })}</Table.Td>
                  <Table.Td>
                    <code>{loss.path}</code>
                  </Table.Td>
                  <Table.Td>
                    <bdi>{loss.detail}</bdi>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </ScrollArea>
      )}
      {rest && <Text size="sm" ff="monospace">{rest}</Text>}
      {more > 0 && <Text size="sm" c="dimmed" mt={4}>{t('losses.more', { count: more })}</Text>}
      {losses.length === 0 && rest === '' && <Text size="sm" c="dimmed">{t('losses.counted', { count })}</Text>}
    </>
  );
}
