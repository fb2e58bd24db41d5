import { ActionIcon, Button, Group, Loader, Stack, Text, Textarea, Tooltip } from '@mantine/core';
import { IconPencil, IconReload, IconSend } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat, useNow } from '../../widgets/format';
import { type Lane, openCalls, type Said, unanswered } from './conversation';
import type { Exchange } from './exchange';
import { Facts } from './Facts';
import { Failure } from './Failure';
import { Parts } from './Parts';
import classes from './Playground.module.css';
import type { ToolCall } from './protocols/neutral';

interface Props {
  lane: Lane;
  label: string;
  raw: boolean;
  /** Something can be asked: otherwise it is said beside the field why not. */
  ready: boolean;
  onEdit: (id: number) => void;
  onResend: (id: number) => void;
  onAgain: () => void;
  onResults: (results: readonly string[]) => void;
  onGive: () => void;
}

/** A conversation with one target. */
export function Talk({ lane, label, raw, ready, onEdit, onResend, onAgain, onResults, onGive }: Props) {
  const { t } = useTranslation(['playground', 'common']);
  const scroller = useRef<HTMLDivElement>(null);
  const { running, last } = lane;
  const turns = raw ? [] : lane.turns;
  // What comes is followed, unless the reader has scrolled up.
  const following = useRef(true);
  useEffect(() => {
    const [box, content] = [scroller.current, scroller.current?.firstElementChild];
    if (!box || !content) return undefined;
    const observer = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight;
    });
    observer.observe(content);
    return () => observer.disconnect();
  }, []);
  const failed = last && (last.state === 'failed' || (last.state === 'stopped' && last.answer.parts.length === 0)) ? last : null;
  const calls = running || raw ? [] : openCalls(lane);
  const empty = turns.length === 0 && !running && !last;
  return (
    <div
      ref={scroller}
      className={classes.scroller}
      role="region"
      tabIndex={0}
      aria-label={label}
      onScroll={({ currentTarget: box }) => (following.current = box.scrollHeight - box.scrollTop - box.clientHeight < 48)}
    >
      <div className={classes.talk}>
      {empty && (
        <Stack gap={4} align="center" py="xl">
          <Text fw={600}>{t(raw ? 'talk.emptyRaw' : 'talk.empty')}</Text>
          <Text size="sm" c="dimmed" ta="center" maw={420}>
            {t(raw ? 'talk.emptyRawText' : 'talk.emptyText')}
          </Text>
        </Stack>
      )}
      {turns.map((turn) => (
        <Turn key={`${turn.id}-${turn.role}`} turn={turn} ready={ready} onEdit={onEdit} onResend={onResend} />
      ))}
      {raw && last && !running && !failed && (
        <div className={classes.turn}>
          <Parts parts={last.answer.parts} />
          {last.answer.parts.length === 0 && <Text size="sm" c="dimmed">{t('answer.empty')}</Text>}
          <Facts exchange={last} />
        </div>
      )}
      {running && <Running exchange={running} />}
      {failed && (
        <div className={classes.turn}>
          {failed.answer.parts.length > 0 && <Parts parts={failed.answer.parts} />}
          <Failure exchange={failed} ready={ready} onAgain={onAgain} />
        </div>
      )}
      {!raw && !failed && unanswered(lane) && (
        <Button size="compact-sm" variant="default" style={{ justifySelf: 'end' }} leftSection={<IconReload size={14} />} disabled={!ready} onClick={onAgain}>
          {t('talk.ask')}
        </Button>
      )}
      {calls.length > 0 && <Results calls={calls} typed={lane.results} ready={ready} onType={onResults} onGive={onGive} />}
      </div>
    </div>
  );
}

function Turn({ turn, ready, onEdit, onResend }: { turn: Said; ready: boolean; onEdit: (id: number) => void; onResend: (id: number) => void }) {
  const { t } = useTranslation(['playground', 'common']);
  if (turn.role === 'assistant') {
    return (
      <div className={classes.turn} data-role="assistant">
        <Parts parts={turn.parts} />
        {turn.parts.length === 0 && <Text size="sm" c="dimmed">{t('answer.empty')}</Text>}
        {turn.exchange && <Facts exchange={turn.exchange} />}
      </div>
    );
  }
  const results = turn.parts.some((part) => part.kind === 'result');
  return (
    <div className={classes.turn} data-role="user">
      <div className={classes.bubble}>
        <Parts parts={turn.parts} />
      </div>
      <Group gap={2} justify="flex-end">
        {!results && (
          <Tooltip label={t('talk.edit')}>
            <ActionIcon variant="subtle" color="gray" aria-label={t('talk.edit')} onClick={() => onEdit(turn.id)}>
              <IconPencil size={15} />
            </ActionIcon>
          </Tooltip>
        )}
        <Tooltip label={t('talk.resend')}>
          <ActionIcon variant="subtle" color="gray" aria-label={t('talk.resend')} disabled={!ready} onClick={() => onResend(turn.id)}>
            <IconReload size={15} />
          </ActionIcon>
        </Tooltip>
      </Group>
    </div>
  );
}

function Running({ exchange }: { exchange: Exchange }) {
  const { t } = useTranslation(['playground', 'common']);
  return (
    <div className={classes.turn} data-role="assistant" aria-busy="true">
      <Parts parts={exchange.answer.parts} live />
      {exchange.answer.parts.length === 0 && (
        <Group gap="xs" role="status">
          <Loader size={14} type="dots" />
          <Text size="sm" c="dimmed">
            {t('talk.waiting')} <Since />
          </Text>
        </Group>
      )}
    </div>
  );
}

/** How long one has waited. */
function Since() {
  const [started] = useState(Date.now);
  const format = useFormat();
  const now = useNow(500);
  const waited = Math.max(0, Math.floor((now - started) / 1000)) * 1000;
  return waited >= 1000 ? <>{format.duration(waited)}</> : null;
}

/** The reader plays the tools. */
function Results({ calls, typed, ready, onType, onGive }: { calls: ToolCall[]; typed: readonly string[]; ready: boolean; onType: Props['onResults']; onGive: () => void }) {
  const { t } = useTranslation(['playground', 'common']);
  return (
    <form
      className={classes.card}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onGive();
      }}
    >
      {calls.map((call, at) => (
        <Textarea
          key={at}
          size="xs"
          autosize
          minRows={1}
          maxRows={8}
          label={<>{t('talk.resultOf')} <bdi>{call.name}</bdi></>}
          placeholder='{"degrees": 21, "sky": "clear"}'
          value={typed[at] ?? ''}
          onChange={(event) => onType(calls.map((_, index) => (index === at ? event.currentTarget.value : (typed[index] ?? ''))))}
        />
      ))}
      <Button type="submit" size="xs" disabled={!ready} leftSection={<IconSend size={14} />} style={{ justifySelf: 'start' }}>
        {t('talk.giveResults', { count: calls.length })}
      </Button>
    </form>
  );
}
