import { Button } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { PageHeader } from '../../widgets/PageHeader';
import { AddProvider } from './AddProvider';

export default function Screen() {
  const { t } = useTranslation(['providers', 'common']);
  const [adding, setAdding] = useState(false);
  return (
    <>
      <PageHeader title={t('common:screens.providers')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
          {t('add')}
        </Button>
      </PageHeader>
      <AddProvider opened={adding} onClose={() => setAdding(false)} />
    </>
  );
}
