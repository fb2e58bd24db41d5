import { Group, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import { EditorDrawer } from '../../widgets/EditorDrawer';
import type { EditorProps } from '../../widgets/Opened';
import { TeamPicker, UserPicker } from '../../widgets/pickers';
import { RulesFields } from '../../widgets/rules/RulesFields';
import { amountProblem } from '../../widgets/rules/rules';
import { useEditor } from '../../widgets/useEditor';
import { draft, type Key, type KeyDraft, saveKey } from './key';

/** Makes a key, or changes one. */
export function KeyEditor({ of, gone, onClose, onDone, onTake }: EditorProps<Key>) {
  const { t } = useTranslation(['keys', 'common']);
  const may = useMay();
  const editor = useEditor<KeyDraft, Key>({
    initial: draft(of),
    revision: of?.revision,
    save: (draft, revision) => saveKey(draft, of, revision),
    refreshes: ['/admin/api/keys', '/admin/api/quotas', '/admin/api/users', '/admin/api/teams'],
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
      fields={['name', 'user', 'team', 'expires_at']}
    >
      <TextInput
        label={t('name')}
        description={t('nameHint')}
        data-autofocus
        withAsterisk
        value={values.name}
        error={fieldErrors.name ?? (touched && !values.name.trim() ? t('nameNeeded') : undefined)}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      {may('manager') && (
        <Group grow align="flex-start">
          <UserPicker
            label={t('user')}
            description={t('userHint')}
            value={values.user}
            named={values.userName}
            error={fieldErrors.user}
            onChange={(user, userName) => set({ user, userName })}
          />
          <TeamPicker
            label={t('team')}
            description={t('teamHint')}
            value={values.user ? null : values.team}
            named={values.teamName}
            error={fieldErrors.team}
            disabled={values.user !== null}
            onChange={(team, teamName) => set({ team, teamName })}
          />
        </Group>
      )}
      <TextInput
        type="datetime-local"
        label={t('expires')}
        description={t('expiresHint', { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}
        value={values.expires}
        error={fieldErrors.expires_at}
        onChange={(event) => set({ expires: event.currentTarget.value })}
      />
      <RulesFields value={values} onChange={set} errors={fieldErrors} touched={touched} />
    </EditorDrawer>
  );
}
