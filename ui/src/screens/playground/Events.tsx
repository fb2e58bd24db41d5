import { Group, Text } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { CopyButton } from '../../widgets/Copy';
import { useFormat } from '../../widgets/format';
import { JsonView } from '../../widgets/JsonView';
import type { Exchange, RawEvent } from './exchange';
import classes from './Playground.module.css';

const ROW = 24;

/** The events as they came, each with its time since the request was sent. */
export function Events({ exchange }: { exchange: Exchange | null }) {
  const { t } = useTranslation(['playground', 'common']);
  const format = useFormat();
  if (!exchange) return <Text size="sm" c="dimmed">{t('events.none')}</Text>;
  if (exchange.body !== null) return <JsonView label={t('events.whole')} text={exchange.body} maxHeight={520} />;
  return (
    <>
      <Group justify="space-between" mb={4}>
        <Text size="xs" c="dimmed" role="status">
          {t('events.count', { count: exchange.came })}
          {exchange.dropped > 0 && ` · ${t('events.dropped', { count: exchange.dropped })}`}
          {exchange.status !== null && ` · HTTP ${exchange.status}`}
          {exchange.firstMs !== null && ` · ${t('facts.first', { value: format.duration(exchange.firstMs) })}`}
        </Text>
        <CopyButton make={() => exchange.events.map(written).join('')} label={t('events.copy')} />
      </Group>
      <List events={exchange.events} count={exchange.events.length} />
    </>
  );
}

function written({ event, data }: RawEvent): string {
  const head = event === 'message' ? '' : `event: ${event}\n`;
  return `${head}${data.split('\n').map((line) => `data: ${line}\n`).join('')}\n`;
}

function List({ events, count }: { events: RawEvent[]; count: number }) {
  const { t } = useTranslation(['playground', 'common']);
  const scroller = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<number | null>(null);
  const virtual = useVirtualizer({ count, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 20 });
  const chosen = open === null ? undefined : events[open];
  return (
    <>
      <div
        ref={scroller}
        className={classes.events}
        tabIndex={0}
        role="listbox"
        aria-label={t('events.label')}
        aria-activedescendant={open === null ? undefined : `event-${open}`}
        onKeyDown={(event) => {
          const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (by === undefined) return;
          event.preventDefault();
          const next = Math.min(Math.max((open ?? -1) + by, 0), count - 1);
          setOpen(next);
          virtual.scrollToIndex(next);
        }}
      >
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {virtual.getVirtualItems().map((item) => {
            const event = events[item.index];
            return (
              event && (
                <div
                  key={item.index}
                  id={`event-${item.index}`}
                  role="option"
                  aria-selected={open === item.index}
                  data-active={open === item.index || undefined}
                  className={classes.event}
                  style={{ position: 'absolute', left: 0, right: 0, top: 0, height: ROW, transform: `translateY(${item.start}px)` }}
                  onClick={() => setOpen(open === item.index ? null : item.index)}
                >
                  <span className={classes.offset}>{event.at.toFixed(1)} ms</span>
                  <span>{event.event === 'message' ? event.data.slice(0, 400) : `${event.event} ${event.data.slice(0, 400)}`}</span>
                </div>
              )
            );
          })}
        </div>
      </div>
      {chosen && (
        <div style={{ marginTop: 8 }}>
          <JsonView label={chosen.event === 'message' ? t('events.one', { at: chosen.at }) : `${chosen.event} · ${chosen.at} ms`} text={chosen.data} maxHeight={260} />
        </div>
      )}
    </>
  );
}
