import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChange } from '../../api/query';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { type Act, actOn, REFRESHES } from './acts';
import { ICONS } from './BulkBar';
import type { Credential } from './quota';

const OUTCOMES: Record<string, string> = { accepted: 'teal', refused: 'red', failed: 'orange', unclear: 'gray' };

/** What can be done about a credential, and what came of it. */
export function DetailActs({ credential, acts }: { credential: Credential; acts: Act[] }) {
  const { t } = useTranslation(['credentials', 'providers', 'common']);
  const [told, setTold] = useState<{ act: Act; after: Credential | undefined }>();
  const change = useChange((act: Act) => actOn(credential.id, act), {
    refreshes: REFRESHES,
    onDone: (after, act) => setTold({ act, after }),
  });
  const probe = told?.act === 'probe' ? told.after?.probe : undefined;
  return (
    <Stack gap="xs">
      <Group gap="xs">
        {acts.map((act) => {
          const Icon = ICONS[act];
          return (
            <Button
              key={act}
              size="xs"
              variant="default"
              leftSection={<Icon size={14} />}
              loading={change.isPending && change.variables === act}
              disabled={change.isPending}
              onClick={() => {
                setTold(undefined);
                change.mutate(act);
              }}
            >
              {t(`acts.${act}`)}
            </Button>
          );
        })}
      </Group>
      <div aria-live="polite">
        <ProblemAlert problem={change.error} />
        {told && !change.error && (
          <Alert color={probe ? (OUTCOMES[probe.outcome] ?? 'gray') : 'teal'} p="xs">
            <Text size="sm">
              {probe ? (
                <>
                  {t(`probe.${probe.outcome}`)} {probe.models != null && t('probe.models', { count: probe.models })} <bdi>{[probe.code, probe.message].filter(Boolean).join(': ')}</bdi>
                </>
              ) : (
                t(`answers.${told.act}`)
              )}
            </Text>
          </Alert>
        )}
      </div>
    </Stack>
  );
}
