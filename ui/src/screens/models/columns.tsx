import { ActionIcon, Badge, Group, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconHelpHexagon, IconMessages } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { readRule } from '../explain/rule';
import { sample } from '../routes/pattern';
import { toOf, whenOf } from '../routes/route';
import { type Entry, type Price, priceOf, textOf } from './model';
import { PriceText } from './PriceText';

const COLOURS: Record<string, string> = { pool: 'harbour', model: 'grape', pattern: 'blue', listed: 'gray', alias: 'grape', glob: 'blue', keyword: 'orange' };

interface Known {
  prices: Map<string, Price>;
  services: Map<string, string>;
  ownerOf: (entry: Entry) => string | null;
  narrow: boolean;
}

/** The columns of the list of models. */
export function useColumns({ prices, services, ownerOf, narrow }: Known): ColumnDef<Entry, unknown>[] {
  const { t } = useTranslation(['models', 'common']);
  return useMemo(() => {
    const because = (entry: Entry): string => {
      if (entry.kind === 'rule') return t(entry.route.enabled === false ? 'because.routeOff' : 'because.route');
      const rule = entry.model.rule ? readRule(entry.model.rule) : ({ kind: 'model', name: '' } as const);
      if (rule.kind === 'other') return rule.text;
      return t(`because.${rule.kind}`, { name: 'name' in rule ? rule.name : '', word: 'word' in rule ? rule.word : '' });
    };
    return [
      {
        id: 'name',
        header: t('columns.name'),
        meta: { width: 'minmax(130px, 3fr)' },
        cell: ({ row: { original: entry } }) => (
          // Long names are cut, and do not widen the table.
          <div style={{ width: 0, minWidth: '100%' }}>
            <Text size="sm" ff="monospace" component="bdi" truncate display="block" title={nameOf(entry)}>
              {nameOf(entry)}
            </Text>
            {narrow && (
              <Text size="xs" c="dimmed" truncate>
                {leads(entry)}
              </Text>
            )}
          </div>
        ),
      },
      {
        id: 'kind',
        header: t('columns.kind'),
        meta: { width: '104px' },
        cell: ({ row: { original: entry } }) => {
          const kind = entry.kind === 'rule' ? entry.form : entry.model.kind;
          return <Badge color={COLOURS[kind] ?? 'gray'}>{t(`kinds.${kind}`)}</Badge>;
        },
      },
      { id: 'leads', header: t('columns.leads'), meta: { width: 'minmax(170px, 3fr)', wide: true }, cell: ({ row: { original: entry } }) => <Text size="sm" truncate w={0} miw="100%" component="bdi" display="block" title={leads(entry)}>{leads(entry)}</Text> },
      {
        id: 'rule',
        header: t('columns.rule'),
        meta: { width: 'minmax(130px, 2fr)', wide: true },
        cell: ({ row: { original: entry } }) => (
          <Text size="xs" c="dimmed" truncate>
            {because(entry)}
          </Text>
        ),
      },
      {
        id: 'price',
        header: () => (
          <Tooltip label={t('price.unit')}>
            <span>{t('columns.price')}</span>
          </Tooltip>
        ),
        meta: { width: '140px', wide: true },
        cell: ({ row: { original: entry } }) => {
          const target = entry.kind === 'rule' ? undefined : [...entry.model.targets].sort((a, b) => a.priority - b.priority)[0];
          return <PriceText price={target && priceOf(prices, services, target)} />;
        },
      },
      {
        id: 'owner',
        header: t('columns.owner'),
        meta: { width: '142px', wide: true },
        cell: ({ row: { original: entry } }) => {
          const owner = ownerOf(entry);
          return <Text size="sm" c="dimmed" truncate>{owner ? t(`common:origins.${owner}`) : '–'}</Text>;
        },
      },
      {
        id: 'go',
        header: () => <VisuallyHidden>{t('columns.go')}</VisuallyHidden>,
        meta: { width: '84px' },
        cell: ({ row: { original: entry } }) => {
          const when = entry.kind === 'rule' ? whenOf(entry.route) : null;
          const name = when ? sample(when.model, when.keywords, []) : entry.kind === 'name' ? entry.model.name : '';
          if (entry.kind === 'name' && entry.model.kind === 'pattern') return null;
          return (
            <Group gap={2} wrap="nowrap">
              <Tooltip label={t('common:screens.explain')}>
                <ActionIcon component={Link} to="/explain" search={{ model: name } as never} variant="subtle" color="gray" aria-label={t('explainOf', { name })}>
                  <IconHelpHexagon size={17} />
                </ActionIcon>
              </Tooltip>
              <Tooltip label={t('try')}>
                <ActionIcon component={Link} to="/playground" search={{ model: name } as never} variant="subtle" color="gray" aria-label={t('tryOf', { name })}>
                  <IconMessages size={17} />
                </ActionIcon>
              </Tooltip>
            </Group>
          );
        },
      },
    ];
  }, [t, prices, services, ownerOf, narrow]);
}

function nameOf(entry: Entry): string {
  return entry.kind === 'rule' ? textOf(whenOf(entry.route)) : entry.model.name;
}

/** Where a name leads, in a line: the first target and how many more there are. */
export function leads(entry: Entry): string {
  if (entry.kind === 'rule') return `→ ${toOf(entry.route)}`;
  const [first, ...more] = [...entry.model.targets].sort((a, b) => a.priority - b.priority);
  if (!first) return '–';
  return `${first.provider}/${first.model}${more.length > 0 ? ` +${more.length}` : ''}`;
}
