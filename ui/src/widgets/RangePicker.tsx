import { Button, CloseButton, Group, Popover, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconCalendar } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from './format';
import { isOwn, isSpan, localText, ownRange, type RangeSearch, rangeOf, type Span } from './range';

interface Props {
  spans: Span[];
  usual: Span;
  search: RangeSearch;
  onChange: (next: RangeSearch) => void;
}

/** Which stretch of time a screen shows. */
export function RangePicker({ spans, usual, search, onChange }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const [open, setOpen] = useState(false);
  const own = isOwn(search);
  // Another screen may have led here with a stretch that is not offered.
  const offered = isSpan(search.range) && !spans.includes(search.range) ? [...spans, search.range] : spans;
  const data = offered.map((span) => ({ value: span, label: span === 'all' ? t('all') : t(`range.${span}`) }));
  const value = own ? '' : isSpan(search.range) ? search.range : usual;
  const choose = (range: string | null) => range && onChange({ range, from: '', to: '' });
  const { from, to } = rangeOf(search, usual);
  return (
    <Group gap="xs">
      <SegmentedControl size="xs" visibleFrom="md" aria-label={t('range.label')} data={data} value={value} onChange={choose} />
      <Select size="xs" hiddenFrom="md" w={120} aria-label={t('range.label')} data={data} value={value || null} placeholder={t('range.own')} onChange={choose} />
      <Popover opened={open} onChange={setOpen} position="bottom-end" trapFocus withinPortal>
        <Popover.Target>
          <Button size="xs" variant={own ? 'light' : 'default'} leftSection={<IconCalendar size={14} />} onClick={() => setOpen(!open)} aria-expanded={open}>
            {own ? `${format.time(from)} – ${format.time(to)}` : t('range.own')}
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          {open && (
            <Own
              from={from}
              to={to}
              onDone={(from, to) => {
                setOpen(false);
                onChange({ ...search, ...ownRange(from, to) });
              }}
            />
          )}
        </Popover.Dropdown>
      </Popover>
      {own && <CloseButton size="sm" aria-label={t('range.clear')} onClick={() => onChange({ ...search, from: '', to: '' })} />}
    </Group>
  );
}

function Own({ from, to, onDone }: { from: number; to: number; onDone: (from: number, to: number) => void }) {
  const { t } = useTranslation();
  const [texts, setTexts] = useState({ from: localText(from), to: localText(to) });
  const [begins, ends] = [new Date(texts.from).getTime(), new Date(texts.to).getTime()];
  const wrong = Number.isNaN(begins) || Number.isNaN(ends) ? t('range.missing') : begins >= ends ? t('range.order') : null;
  return (
    <form onSubmit={(event) => (event.preventDefault(), wrong ?? onDone(begins, ends))}>
      <Stack gap="xs">
        <TextInput type="datetime-local" label={t('range.from')} value={texts.from} onChange={(event) => setTexts({ ...texts, from: event.currentTarget.value })} data-autofocus />
        <TextInput type="datetime-local" label={t('range.to')} value={texts.to} error={wrong} onChange={(event) => setTexts({ ...texts, to: event.currentTarget.value })} />
        <Text size="xs" c="dimmed">
          {t('range.zone', { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}
        </Text>
        <Button type="submit" size="xs" disabled={wrong !== null}>
          {t('range.show')}
        </Button>
      </Stack>
    </form>
  );
}
