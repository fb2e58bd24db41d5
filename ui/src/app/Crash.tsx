import { Button, Container, Stack, Title } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { answers } from '../api/parts';
import { Problem } from '../api/problem';
import { ProblemAlert } from '../widgets/ProblemAlert';

/** A screen that could not be shown: the reason, and a way on. */
export function Crash({ error, reset }: { error: unknown; reset?: () => void }) {
  const { t } = useTranslation();
  const router = useRouter();
  const problem = Problem.of(error);
  return (
    <Container size="sm" py="xl">
      <Stack>
        <Title order={1}>{t('crash.title')}</Title>
        <ProblemAlert problem={problem} />
        <Button
          style={{ alignSelf: 'flex-start' }}
          onClick={async () => {
            // Parts that were missed are fetched whole, styles too, only by a page that begins anew.
            if (problem.code === 'offline' && (await answers())) return window.location.reload();
            reset?.();
            await router.invalidate();
          }}
        >
          {t('again')}
        </Button>
      </Stack>
    </Container>
  );
}
