import { Button, SegmentedControl, SimpleGrid, Stack, Text, useMantineColorScheme } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { LANGUAGES, setLanguage, type Language } from '../../app/i18n';
import { useSession } from '../../app/session';
import { useSignOut } from '../../app/signOut';
import { useTell } from '../../widgets/act';
import { Facts } from '../../widgets/Facts';
import { useFormat } from '../../widgets/format';
import { PageHeader } from '../../widgets/PageHeader';
import { Panel } from '../../widgets/Panel';
import { PasswordForm } from '../../widgets/PasswordForm';

/** Who one is, one's password, and how the page looks. */
export default function Account() {
  const { t, i18n } = useTranslation(['account', 'common']);
  const format = useFormat();
  const session = useSession();
  const { signOut, isPending } = useSignOut();
  const tell = useTell();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <>
      <PageHeader title={t('common:screens.account')} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Stack>
          <Panel title={t('session')}>
            <Facts
              facts={[
                [t('common:signIn.name'), <bdi key="n">{session.name ?? session.kind}</bdi>],
                [t('role'), t(`common:roles.${session.role}`)],
                [t('team'), session.team && <bdi key="t">{session.team.name ?? session.team.id}</bdi>],
                [t('since'), session.created_at ? format.time(session.created_at) : null],
                [t('until'), session.expires_at ? format.time(session.expires_at) : null],
                [t('means'), session.means ? t(`meansOf.${session.means}`, { defaultValue: session.means }) : null],
              ]}
            />
            <Button mt="md" variant="default" loading={isPending} onClick={signOut}>
              {t('common:shell.signOut')}
            </Button>
          </Panel>
          <Panel title={t('looks')}>
            <Stack gap="sm">
              <SegmentedControl
                aria-label={t('common:shell.language')}
                value={i18n.language}
                onChange={(language) => void setLanguage(language as Language)}
                data={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
              />
              <SegmentedControl
                aria-label={t('colours')}
                value={colorScheme}
                onChange={(scheme) => setColorScheme(scheme as typeof colorScheme)}
                data={(['auto', 'light', 'dark'] as const).map((value) => ({ value, label: t(`schemes.${value}`) }))}
              />
            </Stack>
          </Panel>
        </Stack>
        {session.kind === 'user' && session.means !== 'oidc' && (
          <Panel title={t('password')}>
            <Text size="sm" mb="sm">
              {t('passwordText')}
            </Text>
            <PasswordForm onDone={() => tell.done(t('passwordChanged'))} />
          </Panel>
        )}
      </SimpleGrid>
    </>
  );
}
