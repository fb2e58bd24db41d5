import { Button, Container, Stack, Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useSession } from './session';

/** A screen that this role does not open. */
export function NotForYou() {
  const { t } = useTranslation();
  const { role } = useSession();
  return (
    <Container size="sm" py="xl">
      <Stack>
        <Title order={1}>{t('notForYou.title')}</Title>
        <Text>{t('notForYou.text', { role: t(`roles.${role}`) })}</Text>
        <Button component={Link} to="/" style={{ alignSelf: 'flex-start' }}>
          {t('notFound.home')}
        </Button>
      </Stack>
    </Container>
  );
}
