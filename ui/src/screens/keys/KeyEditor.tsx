import { Group, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useMay } from '../../app/session';
import type { EditorProps } from '../../widgets/Opened';
import { TeamPicker, UserPicker } from '../../widgets/pickers';
import { RuledEditor } from '../../widgets/rules/RuledEditor';
import { draft, type Key, saveKey } from './key';

const REFRESHES = ['/admin/api/keys', '/admin/api/quotas', '/admin/api/users', '/admin/api/teams'];

/** Makes a key, or changes one. */
export function KeyEditor(props: EditorProps<Key>) {
  const { t } = useTranslation(['keys', 'common']);
  const { of } = props;
  const may = useMay();
  return (
    <RuledEditor
      {...props}
      words="keys"
      nameHint={t('nameHint')}
      initial={draft(of)}
      save={(draft, revision) => saveKey(draft, of, revision)}
      refreshes={REFRESHES}
    >
      {({ draft: values, set, fieldErrors }) => (
        <>
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
        </>
      )}
    </RuledEditor>
  );
}
