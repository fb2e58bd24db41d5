import { Modal } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { AddProviderSteps } from './add/AddProviderSteps';

export { AddProviderSteps } from './add/AddProviderSteps';

/** From a service to a model that answers, in one dialog. It is open as long as the address says so. */
export function AddProvider({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation(['providers', 'common']);
  return (
    <Modal opened={opened} onClose={onClose} closeOnClickOutside={false} title={t('addTitle')} size={760}>
      <AddProviderSteps onDone={onClose} />
    </Modal>
  );
}
