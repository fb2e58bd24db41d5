import { Group, NativeSelect, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import type { EditorProps } from '../../widgets/Opened';
import { TeamPicker } from '../../widgets/pickers';
import { RuledEditor } from '../../widgets/rules/RuledEditor';
import { draft, saveUser, type User, type UserRole } from './user';

const REFRESHES = ['/admin/api/users', '/admin/api/teams', '/admin/api/quotas', '/admin/api/keys', '/admin/api/session'];

/** Makes a user, or changes one. */
export function UserEditor(props: EditorProps<User>) {
  const { t } = useTranslation(['users', 'common']);
  const { of } = props;
  const admin = useMay()('admin');
  return (
    <RuledEditor
      {...props}
      words="users"
      initial={draft(of)}
      save={(draft, revision) => saveUser(draft, of, revision, admin)}
      refreshes={REFRESHES}
    >
      {({ draft: values, set, fieldErrors }) =>
        admin ? (
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
        ) : (
          !of && (
            <Text size="sm" c="dimmed">
              {t('passwordByAdmin')}
            </Text>
          )
        )
      }
    </RuledEditor>
  );
}
