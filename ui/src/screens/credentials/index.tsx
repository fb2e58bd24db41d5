import { useTranslation } from 'react-i18next';

import { PageHeader } from '../../widgets/PageHeader';

export default function Screen() {
  const { t } = useTranslation(['credentials', 'common']);
  return <PageHeader title={t('common:screens.credentials')} />;
}
