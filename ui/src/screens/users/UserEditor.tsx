import { Group, NativeSelect, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import { EditorDrawer } from '../../widgets/EditorDrawer';
import type { EditorProps } from '../../widgets/Opened';
import { TeamPicker } from '../../widgets/pickers';
import { RulesFields } from '../../widgets/rules/RulesFields';
import { amountProblem } from '../../widgets/rules/rules';
import { useEditor } from '../../widgets/useEditor';
import { draft, saveUser, type User, type UserDraft, type UserRole } from './user';

/** Makes a user, or changes one. */
export function UserEditor({ of, gone, onClose, onDone, onTake }: EditorProps<User>) {
  const { t } = useTranslation(['users', 'common']);
  const admin = useMay()('admin');
  const editor = useEditor<UserDraft, User>({
    initial: draft(of),
    revision: of?.revision,
    save: (draft, revision) => saveUser(draft, of, revision, admin),
    refreshes: ['/admin/api/users', '/admin/api/teams', '/admin/api/quotas', '/admin/api/keys', '/admin/api/session'],
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
      fields={['name', 'role', 'team']}
    >
      <TextInput
        label={t('name')}
        data-autofocus
        withAsterisk
        value={values.name}
        error={fieldErrors.name ?? (touched && !values.name.trim() ? t('nameNeeded') : undefined)}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      {admin && (
        <Group grow align="flex-start">
          <NativeSelect
            label={t('role')}
            description={t(`roleHints.${values.role}`)}
            data={(['member', 'manager', 'admin'] as const).map((role) => ({ value: role, label: t(`common:roles.${role}`) }))}
            value={values.role}
            error={fieldErrors.role}
            onChange={(event) => set({ role: event.currentTarget.value as UserRole })}
          />
          <TeamPicker
            label={t('team')}
            description={t('teamHint')}
            value={values.team}
            named={values.teamName}
            error={fieldErrors.team}
            onChange={(team, teamName) => set({ team, teamName })}
          />
        </Group>
      )}
      <RulesFields value={values} onChange={set} errors={fieldErrors} touched={touched} />
    </EditorDrawer>
  );
}
