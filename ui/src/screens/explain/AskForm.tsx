import { Alert, Anchor, Button, Checkbox, Collapse, Grid, Group, Menu, Select, SimpleGrid, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { IconChevronDown, IconChevronRight, IconHelpHexagon } from '@tabler/icons-react';
import { type RefObject, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { Panel } from '../../widgets/Panel';
import { example, type Form, type Pasted, PROTOCOLS, readHeaders, toQuestion } from './ask';
import { ModelInput } from './ModelInput';

interface Props {
  form: Form;
  pasted: Pasted;
  onChange: (next: Partial<Form>) => void;
  onAsk: () => void;
  onPlace: (offset: number) => void;
  pending: boolean;
  body: RefObject<HTMLTextAreaElement | null>;
  wide: boolean;
  onWide: (open: boolean) => void;
}

/** What is to be explained: a name alone, or a whole request. */
export function AskForm({ form, pasted, onChange, onAsk, onPlace, pending, body, wide, onWide }: Props) {
  const { t } = useTranslation(['explain', 'common']);
  const ready = useMemo(() => toQuestion(form, pasted) !== null, [form, pasted]);
  const wrong = readHeaders(form.headers).wrong;
  const names = PROTOCOLS.map((value) => ({ value, label: t(`common:protocols.${value}`) }));
  const detected = pasted.kind === 'body' ? t('form.detected', { protocol: t(`common:protocols.${pasted.protocol}`) }) : t('form.usual');
  return (
    <Panel>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) onAsk();
        }}
      >
        <Grid align="flex-end" gap="sm">
          <Grid.Col span={{ base: 12, sm: 6 }}>
            <ModelInput
              label={t('form.model')}
              placeholder={pasted.kind === 'body' && pasted.model ? pasted.model : 'claude-sonnet-4-5'}
              value={form.model}
              onChange={(model) => onChange({ model })}
              data-autofocus
            />
          </Grid.Col>
          <Grid.Col span={{ base: 12, xs: 7, sm: 4 }}>
            <Select label={t('form.protocol')} data={[{ value: '', label: detected }, ...names]} value={form.protocol} onChange={(protocol) => onChange({ protocol: protocol ?? '' })} allowDeselect={false} />
          </Grid.Col>
          <Grid.Col span={{ base: 12, xs: 5, sm: 2 }}>
            <Button type="submit" fullWidth loading={pending} disabled={!ready} leftSection={<IconHelpHexagon size={16} />}>
              {t('form.ask')}
            </Button>
          </Grid.Col>
        </Grid>
        <Anchor component="button" type="button" size="sm" mt="sm" onClick={() => onWide(!wide)} aria-expanded={wide}>
          <Group gap={4}>
            {wide ? <IconChevronDown size={15} /> : <IconChevronRight size={15} />}
            {t('form.wide')}
          </Group>
        </Anchor>
        <Collapse expanded={wide}>
          <Stack gap="sm" mt="sm">
            <Textarea
              ref={body}
              label={
                <Group justify="space-between" component="span" style={{ display: 'inline-flex' }}>
                  {t('form.body')}
                </Group>
              }
              description={t('form.bodyHint')}
              value={form.body}
              onChange={(event) => onChange({ body: event.currentTarget.value })}
              rows={10}
              spellCheck={false}
              autoComplete="off"
              styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem', whiteSpace: 'pre', overflow: 'auto' } }}
            />
            <Group gap="xs">
              <Menu>
                <Menu.Target>
                  <Button size="xs" variant="default" rightSection={<IconChevronDown size={14} />}>
                    {t('form.example')}
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  {names.map(({ value, label }) => (
                    <Menu.Item key={value} onClick={() => onChange({ body: example(value, form.model.trim() || 'sonnet'), protocol: '' })}>
                      {label}
                    </Menu.Item>
                  ))}
                </Menu.Dropdown>
              </Menu>
              {form.body !== '' && (
                <Button size="xs" variant="subtle" color="gray" onClick={() => onChange({ body: '' })}>
                  {t('form.clear')}
                </Button>
              )}
            </Group>
            {pasted.kind === 'mistake' && (
              <Alert color="orange" variant="light" role="alert" title={t('form.noJson')}>
                <Text size="sm">
                  {t('common:json.mistakeAt', { line: pasted.mistake.line, column: pasted.mistake.column, what: t(`common:json.mistakes.${pasted.mistake.kind}`) })}
                </Text>
                <Anchor component="button" type="button" size="sm" onClick={() => onPlace(pasted.mistake.offset)}>
                  {t('form.there')}
                </Anchor>
              </Alert>
            )}
            {pasted.kind === 'noObject' && (
              <Alert color="orange" variant="light" role="alert">
                {t('form.noObject')}
              </Alert>
            )}
            <SimpleGrid cols={{ base: 1, sm: 2 }}>
              <Textarea
                label={t('form.headers')}
                description={t('form.headersHint')}
                placeholder={'x-team: platform-a'}
                value={form.headers}
                onChange={(event) => onChange({ headers: event.currentTarget.value })}
                error={wrong.length > 0 && t('form.wrongHeader', { lines: wrong.slice(0, 5).join(', ') })}
                autosize
                minRows={2}
                maxRows={8}
                spellCheck={false}
              />
              <Stack gap="sm">
                <TextInput label={t('form.caller')} description={t('form.callerHint')} value={form.caller} onChange={(event) => onChange({ caller: event.currentTarget.value })} autoComplete="off" />
                {(form.protocol || (pasted.kind === 'body' && pasted.protocol)) === 'gemini' && (
                  <Checkbox label={t('form.stream')} description={t('form.streamHint')} checked={form.stream} onChange={(event) => onChange({ stream: event.currentTarget.checked })} />
                )}
              </Stack>
            </SimpleGrid>
          </Stack>
        </Collapse>
      </form>
    </Panel>
  );
}
