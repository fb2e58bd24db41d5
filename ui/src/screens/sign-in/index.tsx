import { Button, Card, Center, Divider, Group, Stack, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Problem } from '../../api/problem';
import { keepWay, OIDC_START, setupQuery } from '../../app/session';
import { ColourSwitch, LanguageMenu } from '../../app/shell/Tools';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useSearch } from '../../widgets/search';
import { SignInForm } from '../../widgets/SignInForm';

/** The way in. */
export default function SignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [{ to, problem }] = useSearch({ to: '/', problem: '' });
  // Whoever made the link chooses no words: codes lead to those of this page.
  const code = /^[a-z_]+$/.test(problem) && !(problem in {}) ? problem : 'sign_in_refused';
  const { data } = useQuery(setupQuery);
  // Only places of this page: whoever made the link chooses nothing else.
  const way = to.startsWith('/') && !to.startsWith('//') ? to : '/';
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
          {problem !== '' && <ProblemAlert problem={new Problem({ code })} />}
          <SignInForm onDone={() => void navigate({ to: way })} />
          {data?.oidc && (
            <>
              <Divider label={t('signIn.or')} />
              <Button component="a" href={OIDC_START} onClick={() => way !== '/' && keepWay(way)} variant="default">
                {t('signIn.oidc')}
              </Button>
            </>
          )}
        </Stack>
      </Card>
    </Center>
  );
}
