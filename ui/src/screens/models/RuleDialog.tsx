import { Alert, Anchor, Badge, Button, Group, Modal, SegmentedControl, Stack, Switch, Text, TextInput } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { useChange } from '../../api/query';
import { useTell } from '../../widgets/act';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useUnsaved } from '../../widgets/unsaved';
import { EMPTY } from '../routes/route';
import { REFRESHES, saveRoute } from '../routes/save';
import { TargetInput } from '../routes/TargetInput';
import { catches, type RuleForm, whenOfForm } from './model';

/** Names that are shown of those that a rule would catch. */
const MOST = 24;

/** "When a client asks for X, answer with Y": an alias, a pattern or keywords, which become a route. */
export function RuleDialog({ opened, name, onClose }: { opened: boolean; name: string; onClose: () => void }) {
  const { t } = useTranslation(['models', 'common']);
  return (
    <Modal opened={opened} onClose={onClose} title={t('rule.title')} size="lg">
      {opened && <Form name={name} onClose={onClose} />}
    </Modal>
  );
}

function Form({ name, onClose }: { name: string; onClose: () => void }) {
  const { t } = useTranslation(['models', 'common']);
  const tell = useTell();
  const [form, setForm] = useState<RuleForm>(name.includes('*') ? 'glob' : 'alias');
  const [text, setText] = useState(name);
  const [to, setTo] = useState('');
  // Who comes from a name wants just that one answered otherwise, whatever declares it.
  const [first, setFirst] = useState(name !== '');
  const models = useAll('/admin/api/models', 'models', {}, { staleTime: 30_000 });
  const routes = useAll('/admin/api/routes', 'routes', {}, { staleTime: 30_000 });
  const when = useMemo(() => whenOfForm(form, text), [form, text]);
  const asked = when.model !== '' || when.keywords.length > 0;
  const caught = useMemo(() => (asked ? catches(when, first, 1, models.rows, routes.rows) : []), [asked, when, first, models.rows, routes.rows]);
  const mine = caught.filter(({ by }) => by === 'rule');
  const lost = caught.filter(({ by }) => by !== 'rule');
  const save = useChange(() => saveRoute({ ...EMPTY, when, to, overrides: first ? 'yes' : '' }, undefined, null), {
    refreshes: REFRESHES,
    onDone: () => {
      tell.done(t('rule.saved'));
      settle();
      onClose();
    },
  });
  const { settle } = useUnsaved(text !== name || to !== '', 'rule');
  const errors = save.error?.fieldErrors() ?? {};
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (asked && to.trim() !== '') save.mutate();
      }}
    >
      <Stack gap="md">
        <SegmentedControl
          data={(['alias', 'glob', 'keyword'] as const).map((value) => ({ value, label: t(`rule.forms.${value}`) }))}
          value={form}
          onChange={(value) => setForm(value as RuleForm)}
          aria-label={t('rule.form')}
          fullWidth
        />
        <TextInput
          label={t(`rule.asks.${form}`)}
          description={t(`rule.hints.${form}`)}
          placeholder={{ alias: 'gpt-4', glob: 'claude-*', keyword: 'sonnet, haiku' }[form]}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={errors['match.model'] ?? errors['match.model_contains'] ?? (form === 'alias' && text.includes('*') ? t('rule.star') : undefined)}
          data-autofocus
          required
          spellCheck={false}
          autoComplete="off"
        />
        <TargetInput label={t('rule.answer')} description={t('rule.answerHint')} value={to} onChange={setTo} required error={errors.to} placeholder="sonnet" />
        <Switch label={t('rule.first')} description={t('rule.firstHint')} checked={first} onChange={(event) => setFirst(event.currentTarget.checked)} />
        <div role="status" aria-label={t('rule.preview')}>
          <Text size="sm" fw={600} mb={4}>
            {t('rule.catches', { count: mine.length })}
          </Text>
          {!asked ? (
            <Text size="sm" c="dimmed">
              {t('rule.typeFirst')}
            </Text>
          ) : (
            <Stack gap="xs">
              <Group gap={6}>
                {mine.slice(0, MOST).map(({ name }) => (
                  <Badge key={name} color="teal">
                    <bdi>{name}</bdi>
                  </Badge>
                ))}
                {mine.length > MOST && <Text size="xs" c="dimmed">{t('rule.more', { count: mine.length - MOST })}</Text>}
                {mine.length === 0 && <Text size="sm" c="dimmed">{t(lost.length > 0 ? 'rule.nothingLeft' : 'rule.unknown')}</Text>}
              </Group>
              {lost.length > 0 && (
                <Alert color="orange" variant="light" p="xs">
                  <Text size="sm" mb={4}>
                    {t('rule.lost', { count: lost.length })}
                  </Text>
                  {lost.slice(0, 8).map((one) => (
                    <Text key={one.name} size="xs">
                      <bdi style={{ fontWeight: 600 }}>{one.name}</bdi>
                      {': '}
                      {one.by !== 'rule' && t(`rule.because.${one.by}`, { what: one.what })}
                    </Text>
                  ))}
                  {lost.length > 8 && <Text size="xs">{t('rule.more', { count: lost.length - 8 })}</Text>}
                </Alert>
              )}
            </Stack>
          )}
        </div>
        <ProblemAlert problem={save.error} />
        <Group justify="space-between">
          <Anchor component={Link} to="/pools" search={{ new: 'own' } as never} size="sm">
            {t('rule.pool')}
          </Anchor>
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              {t('common:cancel')}
            </Button>
            <Button type="submit" loading={save.isPending} disabled={!asked || to.trim() === '' || (form === 'alias' && text.includes('*'))}>
              {t('rule.create')}
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}
