import { Button, Card, Center, Divider, Group, Stack, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { setupQuery } from '../../app/session';
import { ColourSwitch, LanguageMenu } from '../../app/shell/Tools';
import { useSearch } from '../../widgets/search';
import { SignInForm } from '../../widgets/SignInForm';

/** The way in. */
export default function SignIn() {
  const { t } = useTranslation(['sign-in', 'common']);
  const navigate = useNavigate();
  const [{ to }] = useSearch({ to: '/' });
  const { data } = useQuery(setupQuery);
  return (
    <Center mih="100dvh" p="md" component="main">
      <Card withBorder w="100%" maw={400} padding="xl">
        <Stack>
          <Group justify="space-between">
            <Group gap="xs">
              <img src="/admin/polyport.svg" width={30} height={30} alt="" />
              <Title order={1}>Polyport</Title>
            </Group>
            <Group gap={0}>
              <LanguageMenu />
              <ColourSwitch />
            </Group>
          </Group>
          {/* Only places of this page: whoever made the link chooses nothing else. */}
          <SignInForm onDone={() => void navigate({ to: to.startsWith('/') && !to.startsWith('//') ? to : '/' })} />
          {data?.oidc && (
            <>
              <Divider label={t('or')} />
              <Button component="a" href="/admin/api/oidc/start" variant="default">
                {t('oidc')}
              </Button>
            </>
          )}
        </Stack>
      </Card>
    </Center>
  );
}
