import { Anchor, Stack, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useChange } from '../../api/query';
import { personalTo } from '../../app/session';
import { Empty } from '../../widgets/Empty';
import { lineAt } from '../../widgets/json';
import { linesOf } from '../../widgets/JsonView';
import { PageHeader } from '../../widgets/PageHeader';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useSearch } from '../../widgets/search';
import { type Form, readBody, toQuestion } from './ask';
import { AskForm } from './AskForm';
import { Bodies } from './Bodies';
import { Outcome } from './Outcome';

/** What was asked about last stays while other screens are looked at, as long as the session lasts; a body is nothing for the address. */
const NOTHING: Omit<Form, 'model' | 'protocol'> = { caller: '', headers: '', body: '', stream: false };
let kept = NOTHING;
personalTo(() => {
  kept = NOTHING;
});

/** What would happen to a request that came now. */
export default function Screen() {
  const { t } = useTranslation(['explain', 'common']);
  const [search, setSearch] = useSearch({ model: '', protocol: '' });
  const [form, setForm] = useState<Form>({ ...kept, model: search.model, protocol: search.protocol });
  const [wide, setWide] = useState(form.body !== '' || form.headers !== '' || form.caller !== '');
  const body = useRef<HTMLTextAreaElement>(null);
  // A body of megabytes is read when the typing rests, not at every key.
  const [rested] = useDebouncedValue(form.body, form.body.length > 20_000 ? 400 : 100);
  const pasted = useMemo(() => readBody(rested), [rested]);
  const ask = useChange(async (asked: { question: Schemas['Question']; original: string }) => {
    const { data } = await api.POST('/admin/api/explain', { body: asked.question });
    return { told: data as Schemas['Explanation'], original: asked.original };
  });

  const change = (next: Partial<Form>) =>
    setForm((form) => {
      const { model: _, protocol: __, ...rest } = { ...form, ...next };
      kept = rest;
      return { ...form, ...next };
    });
  const run = (form: Form) => {
    const question = toQuestion(form);
    if (!question) return;
    setSearch({ model: form.model.trim(), protocol: form.protocol });
    ask.mutate({ question, original: form.body });
  };
  // Whoever follows a link wants the answer, not the form.
  const linked = useRef('');
  useEffect(() => {
    const link = `${search.protocol} ${search.model}`;
    if (search.model === '' || linked.current === link) return;
    linked.current = link;
    if (search.model === form.model.trim() && search.protocol === form.protocol && ask.status !== 'idle') return;
    const next = { ...form, model: search.model, protocol: search.protocol };
    setForm(next);
    run(next);
    // Only the address starts it.
  }, [search.model, search.protocol]);

  const goTo = (offset: number) => {
    const field = body.current;
    if (!field) return;
    setWide(true);
    field.focus();
    field.setSelectionRange(offset, offset + 1);
    // Browsers do not scroll to a selection by themselves.
    const before = field.value.slice(0, offset).split('\n').length - 1;
    const all = field.value.split('\n').length;
    field.scrollTop = (before / Math.max(all, 1)) * field.scrollHeight - field.clientHeight / 2;
  };
  const answer = ask.data;
  // Under a long form the answer would come unseen.
  const region = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const shown = region.current;
    if (shown && shown.getBoundingClientRect().top > window.innerHeight * 0.6) shown.scrollIntoView({ block: 'start' });
  }, [answer]);
  const first = answer?.told.attempts[0];
  const pointer = ask.error?.errors.find((error) => error.pointer?.startsWith('#/body/'))?.pointer;
  return (
    <>
      <PageHeader title={t('common:screens.explain')} about={t('about')} />
      <Stack>
        <AskForm form={form} pasted={pasted} onChange={change} onAsk={() => run(form)} onPlace={goTo} pending={ask.isPending} body={body} wide={wide} onWide={setWide} />
        {ask.error && (
          <div>
            <ProblemAlert problem={ask.error} onRetry={ask.error.status === 0 ? () => run(form) : undefined} />
            {pointer && (
              <Anchor component="button" size="sm" mt="xs" onClick={() => goTo(placeOf(form.body, pointer.replace('#/body', '')))}>
                {t('form.there')}
              </Anchor>
            )}
          </div>
        )}
        {answer && !ask.error && (
          <div ref={region} role="region" aria-live="polite" aria-label={t('outcome')} style={{ scrollMarginTop: 68 }}>
            <Stack>
              <Outcome told={answer.told} />
              {answer.told.request && (
                <Bodies original={answer.original} protocol={answer.told.protocol} target={first ? `${first.provider}/${first.model}` : ''} converted={answer.told.request} />
              )}
              <Text size="xs" c="dimmed">
                {t('asked')}
              </Text>
            </Stack>
          </div>
        )}
        {!answer && !ask.error && !ask.isPending && <Empty title={t('empty.title')}>{t('empty.text')}</Empty>}
      </Stack>
    </>
  );
}

function placeOf(text: string, pointer: string): number {
  const { lines } = linesOf(text);
  return lines[lineAt(lines, pointer)]?.at ?? 0;
}
