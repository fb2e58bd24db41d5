import { SegmentedControl, Switch } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { PageHeader } from '../../widgets/PageHeader';
import { useSearch } from '../../widgets/search';
import { useClientKey } from './clientKey';
import { Compare } from './Compare';
import { Composer } from './Composer';
import { takeOver } from './handover';
import { Inspector } from './Inspector';
import { KeyBadge, KeyNeeded } from './KeyBar';
import { LaneHead } from './LaneHead';
import classes from './Playground.module.css';
import { isProtocol } from './protocols/neutral';
import { RawEditor } from './RawEditor';
import type { SendingProps } from './Sending';
import { Talk } from './Talk';
import { useModels } from './useModels';
import { usePlayground } from './usePlayground';

/** Asks models as clients do, in each of their protocols, and shows what goes over the wire. */
export default function PlaygroundScreen() {
  const { t } = useTranslation(['playground', 'requests', 'common']);
  const [search, setSearch] = useSearch({ model: '', protocol: '', tab: 'settings', wide: '' });
  const client = useClientKey();
  const play = usePlayground(client.key);
  const models = useModels(client.key, client.turn, client.state === 'open');
  const { lanes, raw } = play;
  const two = lanes.length > 1;
  const [mending, setMending] = useState(false);
  const refused = lanes.some((lane) => lane.last?.fault === 'client_auth');
  const allowed = client.state === 'open' || client.state === 'held';
  const why: SendingProps['why'] = client.state === 'needed' ? 'key' : client.problem ? 'unknown' : lanes.some((lane) => play.modelOf(lane).trim() === '') ? 'model' : play.wrong;
  const ready = allowed && why === null;
  const sending = { ready, why, onMend: () => (setSearch({ tab: 'settings', wide: '' }), setMending(true)) };

  // A request from elsewhere, and what the address asks for, are taken up once.
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    const handed = takeOver();
    if (handed) play.takeUp(handed);
    else if (search.model || isProtocol(search.protocol)) play.setTarget(0, { ...(search.model && { model: search.model }), ...(isProtocol(search.protocol) && { protocol: search.protocol }) });
    setSearch({ model: '', protocol: '' });
  });
  // Something is asked for at once: a newcomer has to choose nothing.
  useEffect(() => {
    const first = models[0];
    if (first && lanes[0]?.model === '' && !search.model) play.setTarget(0, { model: first });
  }, [models, lanes, search.model, play]);

  return (
    <>
      <PageHeader title={t('common:screens.playground')} about={t('about')}>
        <KeyBadge client={client} />
        <Switch label={t('compare.on')} checked={play.two} disabled={raw !== null} onChange={(event) => play.compare(event.currentTarget.checked)} />
        <SegmentedControl
          aria-label={t('mode.label')}
          value={raw === null ? 'talk' : 'raw'}
          onChange={(value) => play.toRaw(value === 'raw')}
          data={[{ value: 'talk', label: t('mode.talk') }, { value: 'raw', label: t('mode.raw') }]}
        />
      </PageHeader>
      <KeyNeeded client={client} refused={refused} />
      <div className={classes.grid} data-two={two || undefined} data-wide={search.wide || undefined}>
        <div className={classes.lanes}>
          <div className={classes.lanes} data-two={two || undefined}>
            {lanes.map((lane, at) => {
              const label = two ? `${'AB'[at] ?? ''} · ` : '';
              return (
                <div key={at} className={classes.lane}>
                  <LaneHead lane={lane} model={play.modelOf(lane)} label={label} models={models} onTarget={(next) => play.setTarget(at, next)} onClose={two && at === 1 ? () => play.compare(false) : undefined} />
                  <Talk
                    lane={lane}
                    label={`${label}${t('talk.label')}`}
                    raw={raw !== null}
                    ready={ready}
                    onEdit={(id) => play.edit(at, id)}
                    onResend={(id) => play.resend(at, id)}
                    onAgain={() => play.again(at)}
                    onResults={(results) => play.setResults(at, results)}
                    onGive={() => play.giveResults(at)}
                  />
                </div>
              );
            })}
          </div>
          {raw === null ? <Composer play={play} {...sending} /> : <RawEditor play={play} {...sending} />}
          {two && <Compare lanes={lanes} />}
        </div>
        <Inspector play={play} tab={search.tab} onTab={(tab) => setSearch({ tab })} wide={search.wide !== ''} onWide={(wide) => setSearch({ wide: wide ? '1' : '' })} caller={client.held?.made?.name} mending={mending} onMended={() => setMending(false)} />
      </div>
    </>
  );
}
