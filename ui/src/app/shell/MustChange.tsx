import { Card, Stack, Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { PasswordForm } from '../../widgets/PasswordForm';

/** A password that others may know opens nothing but the change of it. */
export default function MustChange() {
  const { t } = useTranslation();
  return (
    <Card maw={460} mx="auto" mt="xl" withBorder>
      <Stack>
        <Title order={1}>{t('password.mustChange')}</Title>
        <Text size="sm">{t('password.mustChangeText')}</Text>
        <PasswordForm onDone={() => undefined} />
      </Stack>
    </Card>
  );
}
