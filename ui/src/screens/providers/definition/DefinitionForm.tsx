import { Button, Group, Stack, Textarea } from '@mantine/core';
import { type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { ConflictAlert } from '../../../widgets/ConflictAlert';
import { readJson } from '../../../widgets/json';
import { ProblemAlert } from '../../../widgets/ProblemAlert';
import { useUnsaved } from '../../../widgets/unsaved';
import type { Definition } from './useDefinition';

interface Props {
  form: Pick<Definition, 'restText' | 'setRest' | 'restWrong' | 'dirty' | 'anyway' | 'take' | 'reset' | 'conflict' | 'error' | 'errors' | 'pending'>;
  /** The fields of the usual members. */
  children: ReactNode;
  onSave: () => void;
  /** Something was typed that is not part of the definition: a new secret. */
  more?: boolean;
}

/** A definition that is changed: its fields, the other members as JSON, and what happens when it is saved. */
export function DefinitionForm({ form, children, onSave, more = false }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const mistake = useMemo(() => {
    if (!form.restText.trim()) return undefined;
    const read = readJson(form.restText);
    if ('mistake' in read) {
      const { line, column, kind } = read.mistake;
      return t('common:json.mistakeAt', { line, column, what: t(`common:json.mistakes.${kind}`) });
    }
    return form.restWrong ? t('definition.noObject') : undefined;
  }, [form.restText, form.restWrong, t]);
  const changed = form.dirty || more;
  // It stands on a tab of an entry, and is lost with either.
  useUnsaved(changed, 'open', 'tab');
  return (
    <form
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (!form.restWrong && changed) onSave();
      }}
    >
      <Stack gap="sm">
        {children}
        <Textarea
          label={t('definition.rest')}
          description={t('definition.restHint')}
          value={form.restText}
          onChange={(event) => form.setRest(event.currentTarget.value)}
          error={mistake}
          autosize
          minRows={3}
          maxRows={16}
          spellCheck={false}
          autoComplete="off"
          placeholder="{}"
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem' } }}
        />
        {form.conflict && <ConflictAlert onTake={form.take} onReplace={form.anyway} pending={form.pending} />}
        <ProblemAlert problem={form.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={form.reset} disabled={!form.dirty || form.pending}>
            {t('definition.reset')}
          </Button>
          <Button type="submit" loading={form.pending} disabled={!changed || form.restWrong}>
            {t('common:save')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
