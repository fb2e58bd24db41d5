import { Button, Group, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useChange } from '../../api/query';
import { useSession } from '../../app/session';
import { ProblemAlert } from '../../widgets/ProblemAlert';

/** Makes a key for a client, of one's own where one is somebody. Its text goes to `onMade` and is kept nowhere else. */
export function MakeKey({ onMade, suggested }: { onMade: (key: string) => void; suggested: string }) {
  const { t } = useTranslation(['connect', 'common']);
  const session = useSession();
  const [name, setName] = useState(suggested);
  const make = useChange(
    async () => {
      const owner = session.kind === 'user' && session.id ? { user: session.id } : {};
      return (await api.POST('/admin/api/keys', { body: { name: name.trim(), ...owner } })).data as Schemas['Key'];
    },
    { refreshes: ['/admin/api/keys', '/admin/api/status'], onDone: ({ key }) => key && onMade(key) },
  );
  return (
    <form onSubmit={(event) => (event.preventDefault(), make.mutate())}>
      <Group align="flex-end" gap="xs" mb="xs">
        <TextInput label={t('keyName')} required value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Button type="submit" loading={make.isPending}>
          {t('makeKey')}
        </Button>
      </Group>
      <ProblemAlert problem={make.error} />
    </form>
  );
}
