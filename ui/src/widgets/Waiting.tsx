import { Center, Loader } from '@mantine/core';
import { useTranslation } from 'react-i18next';

/** Something is on its way. */
export function Waiting() {
  // The words themselves may be what is waited for.
  const { t } = useTranslation('common', { useSuspense: false });
  return (
    <Center mih={200} role="status" aria-label={t('waiting')}>
      <Loader type="dots" />
    </Center>
  );
}
