import { ActionIcon, Group, ScrollArea, SegmentedControl, SimpleGrid, Stack, Tabs, Text, Title, Tooltip } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconColumns3 } from '@tabler/icons-react';
import { type ReactNode, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import { Code } from '../../widgets/Copy';
import { JsonView } from '../../widgets/JsonView';
import { Panel } from '../../widgets/Panel';
import { Converted } from './Converted';
import { EXAMPLE, partsOf, readRaw } from './conversation';
import { Events } from './Events';
import { SettingsPanel } from './SettingsPanel';
import { LANGUAGES, snippet, type SnippetLanguage } from './snippets';
import { nextWireOf, type PlaygroundState, shownOf } from './usePlayground';

interface Props {
  play: PlaygroundState;
  tab: string;
  onTab: (tab: string) => void;
  /** Request, events and what the provider gets are shown beside one another. */
  wide: boolean;
  onWide: (wide: boolean) => void;
  caller?: string;
  /** The reader comes to mend the tools. */
  mending: boolean;
  onMended: () => void;
}

/** What stands beside the conversation: settings, and how the request and its answer look on the wire. */
export function Inspector({ play, tab, onTab, wide: wanted, onWide, caller, mending, onMended }: Props) {
  const { t } = useTranslation(['playground', 'common']);
  const may = useMay();
  const wide = useMediaQuery('(min-width: 62em)', true, { getInitialValueInEffect: false }) && wanted;
  const [of, setOf] = useState(0);
  const at = of < play.lanes.length ? of : 0;
  const lane = play.lanes[at];
  const shown = lane ? shownOf(lane) : null;
  const next = lane ? nextWireOf(lane, play) : null;
  // What was sent is what is looked at, and converted, until something else is.
  const sent = useMemo(() => (shown ? readRaw(shown.sent) : null), [shown?.sent]);
  const isExample = play.raw === null && lane?.turns.length === 0 && partsOf(play.input, play.images).length === 0;
  const wire: Record<string, () => ReactNode> = {
    request: () => (
      <Stack gap="xs">
        <Text size="xs" c="dimmed">{shown ? t('request.sent') : isExample ? t('request.example', { example: EXAMPLE }) : t('request.next')}</Text>
        {(shown || next) && <Code text={`POST ${shown?.path ?? next?.path ?? ''}`} label={t('request.line')} />}
        {shown ? <JsonView label={t('request.body')} text={shown.sent} maxHeight={520} /> : next && <JsonView label={t('request.body')} value={next.body} maxHeight={520} />}
      </Stack>
    ),
    events: () => <Events exchange={shown} />,
    ...(may('admin') && {
      converted: () =>
        lane && (
          <Converted
            protocol={shown?.protocol ?? lane.protocol}
            model={shown?.model ?? play.modelOf(lane)}
            body={sent ? ('body' in sent ? sent.body : null) : (next?.body ?? null)}
            stream={shown ? shown.path.includes(':stream') : (next?.stream ?? false)}
            caller={caller}
          />
        ),
    }),
  };
  const tabs = ['settings', ...Object.keys(wire), 'code'];
  const current = tabs.includes(tab) ? tab : 'settings';
  const toggle = (
    <Tooltip label={t(wide ? 'narrow' : 'wide')}>
      <ActionIcon variant={wide ? 'light' : 'subtle'} color={wide ? undefined : 'gray'} visibleFrom="md" aria-label={t('wide')} aria-pressed={wide} onClick={() => onWide(!wide)}>
        <IconColumns3 size={18} />
      </ActionIcon>
    </Tooltip>
  );
  const lanes = play.lanes.length > 1 && (
    <SegmentedControl
      size="xs"
      mb="sm"
      fullWidth
      aria-label={t('compare.which')}
      value={String(at)}
      onChange={(value) => setOf(Number(value))}
      data={play.lanes.map((lane, index) => ({ value: String(index), label: `${'AB'[index] ?? ''} · ${lane.model}` }))}
    />
  );
  if (wide) {
    return (
      <Panel p="sm" title={t('wire')} actions={toggle}>
        {lanes}
        <SimpleGrid cols={{ base: 1, md: Object.keys(wire).length }} spacing="md">
          {Object.entries(wire).map(([name, part]) => (
            <Stack key={name} gap="xs" component="section" aria-label={t(`tabs.${name}`)} miw={0}>
              <Title order={3}>{t(`tabs.${name}`)}</Title>
              {part()}
            </Stack>
          ))}
        </SimpleGrid>
      </Panel>
    );
  }
  return (
    <Panel p="sm">
      <Tabs value={current} onChange={(next) => onTab(next ?? 'settings')} keepMounted={false}>
        <Group gap={4} wrap="nowrap" align="flex-start" justify="space-between">
          <ScrollArea type="never">
            <Tabs.List style={{ flexWrap: 'nowrap' }} mb="sm">
              {tabs.map((name) => (
                <Tabs.Tab key={name} value={name} px={6}>
                  {t(`tabs.${name}`)}
                </Tabs.Tab>
              ))}
            </Tabs.List>
          </ScrollArea>
          {toggle}
        </Group>
        {current !== 'settings' && lanes}
        <Tabs.Panel value="settings">
          <SettingsPanel settings={play.settings} lanes={play.lanes} raw={play.raw !== null} onChange={play.setSettings} mending={mending} onMended={onMended} />
        </Tabs.Panel>
        {Object.entries(wire).map(([name, part]) => (
          <Tabs.Panel key={name} value={name}>
            {name === current && part()}
          </Tabs.Panel>
        ))}
        <Tabs.Panel value="code">
          {lane && next && <Snippets asked={{ protocol: lane.protocol, address: window.location.origin, path: next.path, model: lane.model, stream: next.stream, body: next.body }} />}
        </Tabs.Panel>
      </Tabs>
    </Panel>
  );
}

function Snippets({ asked }: { asked: Parameters<typeof snippet>[1] }) {
  const { t } = useTranslation(['playground', 'common']);
  const [language, setLanguage] = useState<SnippetLanguage>('curl');
  return (
    <Stack gap="xs">
      <SegmentedControl size="xs" aria-label={t('code.language')} value={language} onChange={(value) => setLanguage(value as SnippetLanguage)} data={LANGUAGES.map((value) => ({ value, label: t(`code.${value}`) }))} />
      <Code text={snippet(language, asked)} label={t(`code.${language}`)} maxHeight={520} />
      <Text size="xs" c="dimmed">{t('code.about')}</Text>
    </Stack>
  );
}
