import { Button, Container, Stack, Title } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Problem } from '../api/problem';
import { ProblemAlert } from '../widgets/ProblemAlert';

/** A screen that could not be shown: the reason, and a way on. */
export function Crash({ error, reset }: { error: unknown; reset?: () => void }) {
  const { t } = useTranslation();
  const router = useRouter();
  return (
    <Container size="sm" py="xl">
      <Stack>
        <Title order={1}>{t('crash.title')}</Title>
        <ProblemAlert problem={Problem.of(error)} />
        <Button
          style={{ alignSelf: 'flex-start' }}
          onClick={() => {
            reset?.();
            void router.invalidate();
          }}
        >
          {t('again')}
        </Button>
      </Stack>
    </Container>
  );
}
