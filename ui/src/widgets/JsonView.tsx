import { ActionIcon, Group, Text, Tooltip } from '@mantine/core';
import { IconChevronDown, IconChevronRight, IconFold, IconFoldDown } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, type ReactNode, useId, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { CopyIcon } from './Copy';
import { type JsonLine, plainLines, prettyText, readJson, seenLines, writeJson } from './json';
import classes from './JsonView.module.css';

interface Props {
  /** What it is, in words: shown above, and told to readers of the screen. */
  label: string;
  /** A value to be shown as JSON … */
  value?: unknown;
  /** … or a text, which is shown as it is where it is no JSON. */
  text?: string;
  /** Pixels; it is as low as its content. */
  maxHeight?: number;
  /** Lines (by their place in `linesOf`) that stand out, and whether they are missing on the other side or new on this one. */
  marked?: ReadonlySet<number>;
  side?: 'before' | 'after';
  /** Stands above, beside the label. */
  extra?: ReactNode;
}

const HEIGHT = 20;
/** Characters of a line that are shown at first, and at most. */
const LONG = 600;
const LONGEST = 20_000;

/** The lines that a text or value is shown as. */
export function linesOf(text: string): { lines: JsonLine[]; left: number; json: boolean } {
  const read = readJson(text);
  return 'lines' in read ? { ...read, json: true } : { ...plainLines(text), json: false };
}

/**
 * JSON, pretty and foldable, or any other text. Only the lines that are seen are drawn, and long ones are cut, so that megabytes do no harm.
 *
 * A tree to the keyboard: up and down move, left and right fold, Enter shows a long line whole.
 */
export function JsonView({ label, value, text: given, maxHeight = 420, marked, side = 'after', extra }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const text = useMemo(() => given ?? writeJson(value), [given, value]);
  const { lines, left, json } = useMemo(() => linesOf(text), [text]);
  const [state, setState] = useState({ of: lines, folded: new Set<number>(), whole: new Set<number>(), active: 0 });
  // What was folded in another text says nothing about this one.
  const { folded, whole, active } = state.of === lines ? state : { folded: new Set<number>(), whole: new Set<number>(), active: 0 };
  const change = (next: Partial<typeof state>) => setState({ of: lines, folded, whole, active, ...next });
  const seen = useMemo(() => seenLines(lines, folded), [lines, folded]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: seen.length, getScrollElement: () => scroller.current, estimateSize: () => HEIGHT, overscan: 20 });
  const foldable = useMemo(() => lines.some((line) => line.end !== undefined && line.depth > 0), [lines]);

  const fold = (at: number, close: boolean) => {
    const next = new Set(folded);
    if (close) next.add(at);
    else next.delete(at);
    change({ folded: next, active: at });
  };
  const foldAll = (close: boolean) => {
    const all = lines.flatMap((line, at) => (close && line.end !== undefined && line.depth > 0 ? [at] : []));
    change({ folded: new Set(all), active: 0 });
    scroller.current?.scrollTo({ top: 0 });
  };
  const onKey = (event: KeyboardEvent) => {
    const place = seen.indexOf(active);
    const line = lines[active];
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / HEIGHT) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -seen.length, End: seen.length };
    const step = steps[event.key];
    if (step !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const to = Math.min(Math.max(place + step, 0), seen.length - 1);
      change({ active: seen[to] ?? 0 });
      virtual.scrollToIndex(to);
    } else if (event.key === 'ArrowLeft' && line?.end !== undefined && !folded.has(active)) fold(active, true);
    else if (event.key === 'ArrowRight' && folded.has(active)) fold(active, false);
    else if (event.key === 'Enter' && line && line.text.length > LONG) change({ whole: new Set([...whole, active]) });
    else return;
    event.preventDefault();
  };

  return (
    <div className={classes.frame}>
      <div className={classes.bar}>
        <Group gap="xs">
          <Text size="xs" fw={600} id={`${id}-label`}>
            {label}
          </Text>
          {extra}
        </Group>
        <Group gap={2} wrap="nowrap">
          {foldable && (
            <Tooltip label={t(folded.size > 0 ? 'json.unfold' : 'json.fold')}>
              <ActionIcon variant="subtle" color="gray" onClick={() => foldAll(folded.size === 0)} aria-label={t(folded.size > 0 ? 'json.unfold' : 'json.fold')}>
                {folded.size > 0 ? <IconFoldDown size={16} /> : <IconFold size={16} />}
              </ActionIcon>
            </Tooltip>
          )}
          <CopyIcon text={json && left === 0 ? prettyText(lines) : text} label={t('json.copy', { label })} />
        </Group>
      </div>
      <div
        ref={scroller}
        className={classes.scroller}
        style={{ maxHeight }}
        role="tree"
        tabIndex={0}
        aria-labelledby={`${id}-label`}
        aria-activedescendant={`${id}-${active}`}
        onKeyDown={onKey}
      >
        <div role="presentation" className={classes.lines} style={{ height: virtual.getTotalSize() + 12 }}>
          {virtual.getVirtualItems().map((item) => {
            const at = seen[item.index] ?? 0;
            const line = lines[at];
            if (!line) return null;
            const closed = folded.has(at);
            const can = line.end !== undefined;
            return (
              <div
                key={at}
                id={`${id}-${at}`}
                role="treeitem"
                aria-level={line.depth + 1}
                aria-expanded={can ? !closed : undefined}
                aria-selected={at === active}
                className={classes.line}
                data-active={at === active || undefined}
                data-marked={marked?.has(at) ? side : undefined}
                style={{ position: 'absolute', top: item.start + 6 }}
                onClick={() => at !== active && change({ active: at })}
              >
                {marked && <span className={classes.gutter}>{marked.has(at) ? (side === 'before' ? '−' : '+') : ''}</span>}
                {json && (
                  <span className={classes.fold} style={{ marginLeft: Math.min(line.depth, 40) * 14 }} data-can={can || undefined} onClick={can ? () => fold(at, !closed) : undefined}>
                    {can && (closed ? <IconChevronRight size={13} /> : <IconChevronDown size={13} />)}
                  </span>
                )}
                <Content line={line} json={json} closed={closed} closer={can && closed ? lines[line.end ?? 0] : undefined} whole={whole.has(at)} onWhole={() => change({ whole: new Set([...whole, at]), active: at })} />
              </div>
            );
          })}
        </div>
      </div>
      {left > 0 && (
        <Text size="xs" c="dimmed" px="sm" py={4}>
          {t('json.left', { count: left })}
        </Text>
      )}
    </div>
  );
}

function Content({ line, json, closed, closer, whole, onWhole }: { line: JsonLine; json: boolean; closed: boolean; closer?: JsonLine; whole: boolean; onWhole: () => void }) {
  const { t } = useTranslation();
  const most = whole ? LONGEST : LONG;
  const cut = line.text.length > most ? line.text.slice(0, most) : line.text;
  const more = line.text.length - cut.length;
  const last = closer ?? line;
  return (
    <>
      {line.name !== undefined && (
        <>
          <span className={classes.name}>{line.name.length > LONG ? `${line.name.slice(0, LONG)}…` : line.name}</span>
          {': '}
        </>
      )}
      <span className={json ? (classes[line.kind] ?? classes.plain) : classes.plain}>{cut || ' '}</span>
      {more > 0 && (
        <span className={classes.note} onClick={onWhole}>
          {` … ${t('json.more', { count: more })}`}
        </span>
      )}
      {closed && (
        <>
          <span className={classes.note}>{` ${t('json.held', { count: line.count ?? 0 })} `}</span>
          {closer?.text}
        </>
      )}
      {last.comma && ','}
    </>
  );
}
