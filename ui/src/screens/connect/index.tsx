import { useTranslation } from 'react-i18next';

import { PageHeader } from '../../widgets/PageHeader';

export default function Screen() {
  const { t } = useTranslation();
  return <PageHeader title={t('screens.connect')} />;
}
