import { Button, Card, Center, Group, Stack, Stepper, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { patiently } from '../../api/parts';
import { useExpired } from '../../api/auth';
import { sessionQuery, setupQuery } from '../../app/session';
import SignInAgain from '../../app/shell/SignInAgain';
import { ColourSwitch, LanguageMenu } from '../../app/shell/Tools';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { mayLeave } from '../../widgets/unsaved';
import { Waiting } from '../../widgets/Waiting';
import { FirstAdmin } from './FirstAdmin';

// They come after the first step; what that one needs comes alone.
const AddProviderSteps = lazy(() => patiently(() => import('../providers/AddProvider')).then((module) => ({ default: module.AddProviderSteps })));
const FirstKey = lazy(() => patiently(() => import('./FirstKey')).then((module) => ({ default: module.FirstKey })));

/** From a gateway that was just started to a client that works: first admin, first provider, first key. */
export default function Setup() {
  const { t } = useTranslation(['setup', 'common']);
  const navigate = useNavigate();
  const expired = useExpired();
  const session = useQuery(sessionQuery);
  const setup = useQuery(setupQuery);
  // Where the reader went; until then, where the gateway is.
  const [chosen, setChosen] = useState<number | null>(null);
  const [key, setKey] = useState<string>();
  const [model, setModel] = useState<string>();
  if (session.isPending || setup.isPending) return <Waiting />;
  const inside = session.data !== undefined && session.data.kind !== 'nobody';
  const step = inside ? Math.max(chosen ?? 1, 1) : 0;
  // A provider that is half filled in is not lost by mistake.
  const go = async (to: number) => {
    if (to !== step && (await mayLeave())) setChosen(to);
  };
  const finish = () => void navigate({ to: '/' });
  return (
    <Center p="md" component="main">
      <Card withBorder w="100%" maw={880} padding="lg" my="md" style={{ overflow: 'visible' }}>
        <Stack>
          <Group justify="space-between" wrap="nowrap">
            <Group gap="xs" wrap="nowrap">
              <img src="/admin/polyport.svg" width={30} height={30} alt="" />
              <Title order={1}>{t('title')}</Title>
            </Group>
            <Group gap={0} wrap="nowrap">
              <LanguageMenu />
              <ColourSwitch />
            </Group>
          </Group>
          <Stepper active={step} size="sm" allowNextStepsSelect={false} onStepClick={inside ? (at) => at > 0 && void go(at) : undefined} wrap>
            <Stepper.Step label={t('steps.admin')} />
            <Stepper.Step label={t('steps.provider')} />
            <Stepper.Step label={t('steps.client')} />
          </Stepper>
          {step === 0 &&
            (setup.data && session.data ? (
              <FirstAdmin needed={setup.data.needed} onDone={() => setChosen(1)} />
            ) : (
              // Whether anybody is to be made an admin is not known: to send a newcomer away would be wrong.
              <ProblemAlert problem={setup.error ?? session.error} onRetry={() => void (setup.refetch(), session.refetch())} />
            ))}
          {step === 1 && (
            <>
              <Text size="sm">{t('providerText')}</Text>
              <Suspense fallback={<Waiting />}>
                <AddProviderSteps
                  onDone={(model) => {
                    setModel(model);
                    setChosen(2);
                  }}
                />
              </Suspense>
              <Group justify="flex-end">
                <Button variant="subtle" onClick={() => void go(2)}>
                  {t('later')}
                </Button>
              </Group>
            </>
          )}
          {step >= 2 && (
            <Suspense fallback={<Waiting />}>
              <FirstKey made={key} onMade={setKey} suggested={model} onDone={finish} />
            </Suspense>
          )}
        </Stack>
        {inside && expired && <SignInAgain />}
      </Card>
    </Center>
  );
}
