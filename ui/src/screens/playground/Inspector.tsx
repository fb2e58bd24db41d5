import { ScrollArea, SegmentedControl, Stack, Tabs, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import { Code } from '../../widgets/Copy';
import { JsonView } from '../../widgets/JsonView';
import { Panel } from '../../widgets/Panel';
import { Converted } from './Converted';
import { Events } from './Events';
import { SettingsPanel } from './SettingsPanel';
import { LANGUAGES, snippet, type SnippetLanguage } from './snippets';
import { type PlaygroundState, shownOf, wireOf } from './usePlayground';

interface Props {
  play: PlaygroundState;
  tab: string;
  onTab: (tab: string) => void;
  caller?: string;
  /** The reader comes to mend the tools. */
  mending: boolean;
  onMended: () => void;
}

/** What stands beside the conversation: settings, and how the request and its answer look on the wire. */
export function Inspector({ play, tab, onTab, caller, mending, onMended }: Props) {
  const { t } = useTranslation(['playground', 'common']);
  const may = useMay();
  const [of, setOf] = useState(0);
  const at = of < play.lanes.length ? of : 0;
  const lane = play.lanes[at];
  const shown = lane ? shownOf(lane) : null;
  const wire = lane ? wireOf(lane, play) : null;
  const tabs = ['settings', 'request', 'events', ...(may('admin') ? ['converted'] : []), 'code'];
  const current = tabs.includes(tab) ? tab : 'settings';
  return (
    <Panel p="sm">
      <Tabs value={current} onChange={(next) => onTab(next ?? 'settings')} keepMounted={false}>
        <ScrollArea type="never">
          <Tabs.List style={{ flexWrap: 'nowrap' }} mb="sm">
            {tabs.map((name) => (
              <Tabs.Tab key={name} value={name} px="xs">
                {t(`tabs.${name}`)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
        </ScrollArea>
        {play.lanes.length > 1 && current !== 'settings' && (
          <SegmentedControl
            size="xs"
            mb="sm"
            fullWidth
            aria-label={t('compare.which')}
            value={String(at)}
            onChange={(value) => setOf(Number(value))}
            data={play.lanes.map((lane, index) => ({ value: String(index), label: `${'AB'[index] ?? ''} · ${lane.model}` }))}
          />
        )}
        <Tabs.Panel value="settings">
          <SettingsPanel settings={play.settings} lanes={play.lanes} raw={play.raw !== null} onChange={play.setSettings} mending={mending} onMended={onMended} />
        </Tabs.Panel>
        <Tabs.Panel value="request">
          <Stack gap="xs">
            <Text size="xs" c="dimmed">{t(shown ? 'request.sent' : 'request.next')}</Text>
            {(shown || wire) && <Code text={`POST ${shown?.path ?? wire?.path ?? ''}`} label={t('request.line')} />}
            {shown ? <JsonView label={t('request.body')} text={shown.sent} maxHeight={520} /> : wire && <JsonView label={t('request.body')} value={wire.body} maxHeight={520} />}
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="events">
          <Events exchange={shown} />
        </Tabs.Panel>
        <Tabs.Panel value="converted">{lane && <Converted protocol={lane.protocol} model={play.modelOf(lane)} body={wire?.body ?? null} caller={caller} />}</Tabs.Panel>
        <Tabs.Panel value="code">
          {lane && wire && <Snippets asked={{ protocol: lane.protocol, address: window.location.origin, path: wire.path, model: lane.model, stream: wire.stream, body: wire.body }} />}
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
