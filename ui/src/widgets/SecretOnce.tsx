import { Alert, Group, Stack, Text } from '@mantine/core';
import { IconEyeOff } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { Code } from './Copy';

/** A secret that was just made: it is shown now and never again. */
export function SecretOnce({ secret, label, onCopied }: { secret: string; label: string; onCopied?: () => void }) {
  const { t } = useTranslation();
  return (
    <Stack gap="xs">
      <Alert color="orange" variant="light" icon={<IconEyeOff />}>
        <Text size="sm">{t('secretOnce')}</Text>
      </Alert>
      <Group grow>
        <Code text={secret} label={label} onCopied={onCopied} />
      </Group>
    </Stack>
  );
}
