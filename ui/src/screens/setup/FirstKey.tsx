import { Alert, Autocomplete, Button, Group, Stack, Text, Title } from '@mantine/core';
import { IconLockOpen } from '@tabler/icons-react';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useStatus } from '../../app/session';
import { Code } from '../../widgets/Copy';
import { useModelNames } from '../../widgets/rules/RulesFields';
import { SecretOnce } from '../../widgets/SecretOnce';
import { ClientCards } from '../connect/ClientCards';
import { MakeKey } from '../connect/MakeKey';
import { curlLine, keyShown } from '../../widgets/curl';

interface Props {
  /** The key, once it was made: it is shown this once, so that whoever shows the steps holds it while the reader goes back and forth. */
  made: string | undefined;
  onMade: (key: string) => void;
  /** What the provider that was just added is asked for. */
  suggested: string | undefined;
  onDone: () => void;
}

/** The first key, a line that works, and what each client wants to be told. */
export function FirstKey({ made, onMade, suggested, onDone }: Props) {
  const { t } = useTranslation(['setup', 'common']);
  const models = useModelNames();
  const status = useStatus();
  const [chosen, setChosen] = useState<string>();
  const model = chosen ?? suggested ?? models.find((name) => name !== 'echo') ?? 'echo';
  const [asked] = useDebouncedValue(model, 300);
  const open = status.data?.open ?? false;
  return (
    <Stack>
      {made ? (
        <SecretOnce secret={made} label={t('key')} />
      ) : (
        <Alert color="blue" variant="light" icon={<IconLockOpen />}>
          <Text size="sm" mb="xs">
            {open ? t('open') : t('closed')}
          </Text>
          <MakeKey suggested={t('keySuggested')} onMade={onMade} />
        </Alert>
      )}
      <Autocomplete label={t('model')} data={models} limit={50} value={model} onChange={setChosen} maw={360} />
      <Title order={2}>{t('try')}</Title>
      <Code text={curlLine(window.location.origin, model, keyShown(made, open))} label={t('try')} />
      <Title order={2}>{t('clients')}</Title>
      <ClientCards model={asked} keyText={made} />
      <Group justify="flex-end">
        <Button onClick={onDone}>{t('finish')}</Button>
      </Group>
    </Stack>
  );
}
