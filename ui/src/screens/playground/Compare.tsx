import { Table } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../widgets/format';
import { Panel } from '../../widgets/Panel';
import type { Lane } from './conversation';
import type { Exchange } from './exchange';
import { better, speed } from './figures';
import { useLogged } from './useCost';
import { shownOf } from './usePlayground';

/** The figures of two answers to the same prompt, the better ones in bold. */
export function Compare({ lanes }: { lanes: Lane[] }) {
  const { t } = useTranslation(['playground', 'common']);
  const format = useFormat();
  const [a, b] = lanes.map(shownOf);
  const [loggedA, loggedB] = [useLogged(a?.requestId ?? null, a?.totalMs != null), useLogged(b?.requestId ?? null, b?.totalMs != null)];
  if (!a || !b) return null;
  const costs = [loggedA, loggedB].map((row) => (row && Object.keys(row.cost).length > 0 ? (row.cost as Record<string, string>) : null));
  const one = (of: Exchange) => of.answer.usage;
  const rows: [string, (string | null)[], 0 | 1 | null][] = [
    [t('compare.first'), [format.duration(a.firstMs), format.duration(b.firstMs)], better(a.firstMs, b.firstMs, 'less')],
    [t('compare.total'), [format.duration(a.totalMs), format.duration(b.totalMs)], better(a.totalMs, b.totalMs, 'less')],
    [t('compare.speed'), [format.number(speed(a), 1), format.number(speed(b), 1)], better(speed(a), speed(b), 'more')],
    [t('compare.input'), [format.number(one(a)?.input), format.number(one(b)?.input)], null],
    [t('compare.output'), [format.number(one(a)?.output), format.number(one(b)?.output)], null],
    [t('compare.reasoning'), [format.number(one(a)?.reasoning), format.number(one(b)?.reasoning)], null],
    [t('compare.cost'), costs.map((cost) => format.money(cost)), better(amount(costs[0]), amount(costs[1]), 'less')],
    [t('compare.finish'), [a.answer.finish, b.answer.finish], null],
    [t('compare.target'), [a.target, b.target], null],
  ];
  return (
    <Panel p="sm">
      <Table verticalSpacing={4} layout="fixed">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('compare.title')}</Table.Th>
            {lanes.map((lane, at) => (
              <Table.Th key={at} ta="right">
                {'AB'[at]} · <bdi>{lane.model}</bdi>
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(([name, values, best]) => (
            <Table.Tr key={name}>
              <Table.Td c="dimmed">{name}</Table.Td>
              {values.map((value, at) => (
                <Table.Td key={at} ta="right" fw={best === at ? 700 : 400}>
                  <bdi>{value ?? '–'}</bdi>
                  {best === at && ' ✓'}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Panel>
  );
}

/** Amounts of one currency can be compared. */
function amount(cost: Record<string, string> | null | undefined): number | null {
  const entries = Object.entries(cost ?? {});
  return entries.length === 1 && entries[0] ? Number(entries[0][1]) : null;
}
