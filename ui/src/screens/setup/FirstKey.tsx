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
import { curlLine } from '../../widgets/curl';

/** The first key, a line that works, and what each client wants to be told. */
export function FirstKey({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation(['setup', 'common']);
  const models = useModelNames();
  const status = useStatus();
  const [key, setKey] = useState<string>();
  const [chosen, setChosen] = useState<string>();
  const model = chosen ?? models.find((name) => name !== 'echo') ?? 'echo';
  const [asked] = useDebouncedValue(model, 300);
  const open = status.data?.open ?? false;
  return (
    <Stack>
      {key ? (
        <SecretOnce secret={key} label={t('key')} />
      ) : (
        <Alert color="blue" variant="light" icon={<IconLockOpen />}>
          <Text size="sm" mb="xs">
            {open ? t('open') : t('closed')}
          </Text>
          <MakeKey suggested={t('keySuggested')} onMade={setKey} />
        </Alert>
      )}
      <Autocomplete label={t('model')} data={models} limit={50} value={model} onChange={setChosen} maw={360} />
      <Title order={2}>{t('try')}</Title>
      <Code text={curlLine(window.location.origin, model, key)} label={t('try')} />
      <Title order={2}>{t('clients')}</Title>
      <ClientCards model={asked} keyText={key} />
      <Group justify="flex-end">
        <Button onClick={onDone}>{t('finish')}</Button>
      </Group>
    </Stack>
  );
}
