import { Button, Group, Select, Switch, Text, UnstyledButton } from '@mantine/core';
import { useTimeout } from '@mantine/hooks';
import { IconCheck } from '@tabler/icons-react';
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChange } from '../../api/query';
import { ConflictAlert } from '../../widgets/ConflictAlert';
import { Empty } from '../../widgets/Empty';
import { Panel } from '../../widgets/Panel';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { SearchInput } from '../../widgets/SearchInput';
import { useUnsaved } from '../../widgets/unsaved';
import { Waiting } from '../../widgets/Waiting';
import { useAbout } from './about';
import { Row } from './Row';
import classes from './Row.module.css';
import { changed, type Draft, type Drafts, errorsBy, matches, patchOf, sectionOf, sections, type Setting } from './settings';
import { type Settings, useSaveSettings, useSettings } from './useSettings';

interface Props {
  q: string;
  section: string;
  /** Only what somebody has set. */
  own: boolean;
  onChange: (next: { q?: string; section?: string; own?: string }) => void;
}

/** Every setting. Changes are collected, and saved together or not at all. */
export function General({ q, section, own, onChange }: Props) {
  const { t } = useTranslation(['settings', 'common']);
  const about = useAbout();
  const { data, error, refetch, isPending } = useSettings();
  const [drafts, setDrafts] = useState<Drafts>(new Map());
  const [tried, setTried] = useState(false);
  // Said where the bar was: a notification would lie over it.
  const [saved, setSaved] = useState(false);
  const forget = useTimeout(() => setSaved(false), 4000);
  useUnsaved(drafts.size > 0, 'tab');
  // What is saved is compared with what was there when the first change was typed: it may be read anew meanwhile.
  const seen = useRef<number>(undefined);
  if (drafts.size === 0) seen.current = data?.revision;
  const save = useSaveSettings(() => {
    setDrafts(new Map());
    setTried(false);
    setSaved(true);
    forget.start();
  });
  const look = useChange(async () => (await refetch({ throwOnError: true })).data as Settings, {
    onDone: ({ revision }) => {
      seen.current = revision;
      save.reset();
    },
  });
  const settings = data?.settings ?? NONE;
  const text = useDeferredValue(q.trim());
  const all = useMemo(
    () => sections(settings, (one) => (text === '' || matches(one, text, about(one))) && (!own || one.owner !== 'default' || drafts.has(one.path))),
    [settings, text, own, about, drafts],
  );
  const { patch, mistakes } = useMemo(() => patchOf(settings, drafts), [settings, drafts]);
  const refused = useMemo(() => (save.error ? errorsBy(settings, save.error.fieldErrors()) : {}), [save.error, settings]);
  const { reset } = save;
  const [sought, setSought] = useState<string>();
  // Its section may be drawn only some renderings after it was asked for.
  useEffect(() => {
    const row = sought === undefined ? null : rowOf(sought);
    if (!row) return;
    row.scrollIntoView({ block: 'center' });
    setSought(undefined);
  });
  const change = useCallback(
    (setting: Setting, draft: Draft | null) => {
      setDrafts((before) => changed(before, setting, draft));
      setSought(undefined);
      reset();
    },
    [reset],
  );

  if (isPending) return <Waiting />;
  if (!data) return <ProblemAlert problem={error} onRetry={() => void refetch()} />;

  // What is looked for may be anywhere; otherwise one section is shown at a time.
  const current = all.find(({ name }) => name === section)?.name ?? all[0]?.name;
  const shown = text !== '' || own ? all : all.filter(({ name }) => name === current);
  const name = (section: string) => t(`sections.${section}`, { defaultValue: section });
  const errorOf = (path: string) => refused[path] ?? (tried && mistakes[path] ? t(`mistakes.${mistakes[path]}`) : undefined);
  // What is wrong may be far away, or in another section.
  const reveal = (path: string | undefined) => {
    if (path === undefined) return;
    if (!rowOf(path)) onChange({ section: sectionOf({ path }), q: '', own: '' });
    setSought(path);
  };
  const send = (revision?: number) => {
    setTried(true);
    if (Object.keys(mistakes).length > 0) reveal(Object.keys(mistakes)[0]);
    else save.mutate({ patch, revision }, { onError: (problem) => reveal(Object.keys(errorsBy(settings, problem.fieldErrors()))[0]) });
  };
  const stale = save.error?.code === 'stale';

  return (
    <>
      <Group mb="md" gap="md">
        <SearchInput w={{ base: '100%', sm: 320 }} label={t('search')} value={q} onSearch={(q) => onChange({ q })} />
        <Switch size="sm" label={t('onlySet')} checked={own} onChange={(event) => onChange({ own: event.currentTarget.checked ? 'on' : '' })} />
        <Select
          hiddenFrom="md"
          size="sm"
          w="100%"
          aria-label={t('section')}
          data={all.map((one) => ({ value: one.name, label: name(one.name) }))}
          value={current ?? null}
          onChange={(section) => section && onChange({ section })}
          allowDeselect={false}
          disabled={text !== ''}
        />
      </Group>
      <div className={classes.layout}>
        <nav className={classes.sections} aria-label={t('section')}>
          {all.map((one) => (
            <UnstyledButton
              key={one.name}
              className={classes.section}
              aria-current={text === '' && !own && one.name === current ? 'true' : undefined}
              onClick={() => onChange({ section: one.name, q: '', own: '' })}
            >
              {name(one.name)}
              <Text span inherit c="dimmed" flex="none">
                {one.settings.filter(({ path }) => drafts.has(path)).length > 0 ? '●' : one.settings.length}
              </Text>
            </UnstyledButton>
          ))}
        </nav>
        <div>
          {shown.length === 0 && <Empty title={t('noneFits')} />}
          {shown.map((one) => (
            <div key={one.name} style={{ marginBottom: 16 }}>
              <Panel title={name(one.name)}>
                {one.settings.map((setting) => (
                  <Row key={setting.path} setting={setting} about={about(setting)} draft={drafts.get(setting.path)} error={errorOf(setting.path)} onChange={change} />
                ))}
              </Panel>
            </div>
          ))}
          {saved && drafts.size === 0 && (
            <Group className={classes.bar} gap="xs" role="status">
              <IconCheck size={18} />
              <Text size="sm">{t('common:saved')}</Text>
            </Group>
          )}
          {drafts.size > 0 && (
            <section className={classes.bar} aria-label={t('unsaved', { count: drafts.size })}>
              {stale && <ConflictAlert onTake={() => look.mutate()} onReplace={() => send()} pending={save.isPending} />}
              <ProblemAlert problem={stale ? look.error : save.error} />
              <Group justify="space-between" mt={save.error ? 'xs' : 0}>
                <Text size="sm">
                  {t('unsaved', { count: drafts.size })}
                  {tried && Object.keys(mistakes).length > 0 && (
                    <Text span inherit c="var(--mantine-color-error)">
                      {' '}
                      {t('mistakesLeft', { count: Object.keys(mistakes).length })}
                    </Text>
                  )}
                </Text>
                <Group gap="xs">
                  <Button variant="default" size="xs" onClick={() => (setDrafts(new Map()), setTried(false), save.reset())}>
                    {t('discard')}
                  </Button>
                  <Button size="xs" loading={save.isPending} onClick={() => send(seen.current)}>
                    {t('saveAll')}
                  </Button>
                </Group>
              </Group>
            </section>
          )}
        </div>
      </div>
    </>
  );
}

const NONE: Setting[] = [];

/** The row of a setting, where it is drawn. */
const rowOf = (path: string) => document.querySelector(`[data-setting="${CSS.escape(path)}"]`);
