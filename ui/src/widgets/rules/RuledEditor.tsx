import { TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { EditorDrawer } from '../EditorDrawer';
import type { EditorProps } from '../Opened';
import { useEditor } from '../useEditor';
import { RulesFields } from './RulesFields';
import { amountProblem, type RulesDraft } from './rules';

interface Ruled {
  name: string;
  revision: number;
}

interface Props<Draft, Row> extends EditorProps<Row> {
  /** The screen whose words it takes: `make`, `change`, `name`, `nameNeeded`. */
  words: 'keys' | 'teams' | 'users';
  initial: Draft;
  save: (draft: Draft, revision: number | null | undefined) => Promise<Row>;
  refreshes: string[];
  nameHint?: string;
  /** Fields between the name and the rules. */
  children?: (editor: { draft: Draft; set: (next: Partial<Draft>) => void; fieldErrors: Record<string, string> }) => ReactNode;
}

/** Makes or changes what has a name and rules: a key, a user, a team. */
export function RuledEditor<Draft extends RulesDraft & { name: string }, Row extends Ruled>(props: Props<Draft, Row>) {
  const { of, gone, onClose, onDone, onTake, words } = props;
  const { t } = useTranslation([words, 'common']);
  const editor = useEditor<Draft, Row>({
    initial: props.initial,
    revision: of?.revision,
    save: props.save,
    refreshes: props.refreshes,
    entry: ['id', 'new'],
    onDone,
    valid: ({ name, limits }) => name.trim() !== '' && limits.every(({ what, amount }) => !amountProblem(what, amount)),
  });
  const { draft: values, fieldErrors, touched } = editor;
  const set = (next: Partial<RulesDraft & { name: string }>) => editor.set(next as Partial<Draft>);
  return (
    <EditorDrawer
      opened
      title={of ? t(`${words}:change`, { name: of.name }) : t(`${words}:make`)}
      action={of ? undefined : t(`${words}:make`)}
      onClose={onClose}
      editor={editor}
      onTake={onTake}
      gone={gone}
    >
      <TextInput
        label={t(`${words}:name`)}
        description={props.nameHint}
        data-autofocus
        withAsterisk
        value={values.name}
        error={fieldErrors.name ?? (touched && !values.name.trim() ? t(`${words}:nameNeeded`) : undefined)}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      {props.children?.(editor)}
      <RulesFields value={values} onChange={set} errors={fieldErrors} touched={touched} />
    </EditorDrawer>
  );
}
