import { TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { EditorDrawer } from '../../widgets/EditorDrawer';
import type { EditorProps } from '../../widgets/Opened';
import { RulesFields } from '../../widgets/rules/RulesFields';
import { amountProblem } from '../../widgets/rules/rules';
import { useEditor } from '../../widgets/useEditor';
import { draft, saveTeam, type Team, type TeamDraft } from './team';

/** Makes a team, or changes one. */
export function TeamEditor({ of, gone, onClose, onDone, onTake }: EditorProps<Team>) {
  const { t } = useTranslation(['teams', 'common']);
  const editor = useEditor<TeamDraft, Team>({
    initial: draft(of),
    revision: of?.revision,
    save: (draft, revision) => saveTeam(draft, of, revision),
    refreshes: ['/admin/api/teams', '/admin/api/users', '/admin/api/keys', '/admin/api/quotas'],
    entry: ['id', 'new'],
    onDone,
    valid: ({ name, limits }) => name.trim() !== '' && limits.every(({ what, amount }) => !amountProblem(what, amount)),
  });
  const { draft: values, set, fieldErrors, touched } = editor;
  return (
    <EditorDrawer
      opened
      title={of ? t('change', { name: of.name }) : t('make')}
      action={of ? undefined : t('make')}
      onClose={onClose}
      editor={editor}
      onTake={onTake}
      gone={gone}
      fields={['name']}
    >
      <TextInput
        label={t('name')}
        data-autofocus
        withAsterisk
        value={values.name}
        error={fieldErrors.name ?? (touched && !values.name.trim() ? t('nameNeeded') : undefined)}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <RulesFields value={values} onChange={set} errors={fieldErrors} touched={touched} />
    </EditorDrawer>
  );
}
