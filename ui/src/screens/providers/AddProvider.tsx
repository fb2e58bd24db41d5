import { Modal } from '@mantine/core';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { AddProviderSteps } from './add/AddProviderSteps';

export { AddProviderSteps } from './add/AddProviderSteps';

interface Props {
  opened: boolean;
  onClose: () => void;
}

/** From a service to a model that answers, in one dialog. */
export function AddProvider({ opened, onClose }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const dirty = useRef(false);
  return (
    <Modal
      opened={opened}
      // What was typed is not lost by a click beside the dialog or a stray key.
      onClose={() => {
        if (!dirty.current || window.confirm(t('leave'))) onClose();
      }}
      closeOnClickOutside={false}
      title={t('addTitle')}
      size={760}
    >
      <AddProviderSteps
        onDirty={(is) => {
          dirty.current = is;
        }}
        onDone={() => {
          dirty.current = false;
          onClose();
        }}
      />
    </Modal>
  );
}
