import { ActionIcon, Autocomplete, Select, Tooltip } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Lane } from './conversation';
import classes from './Playground.module.css';
import { isProtocol, PROTOCOLS } from './protocols/neutral';

/** Which protocol is spoken, and which model is asked for. */
export function LaneHead({ lane, model, label, models, onTarget, onClose }: {
  lane: Lane;
  /** In a body that is written by hand the model may stand there. */
  model: string;
  label: string;
  models: string[];
  onTarget: (next: { protocol?: Lane['protocol']; model?: string }) => void;
  onClose?: () => void;
}) {
  const { t } = useTranslation(['playground', 'common']);
  return (
    <div className={classes.head}>
      <div className={classes.protocol}>
        <Select
          aria-label={`${label}${t('target.protocol')}`}
          data={PROTOCOLS.map((value) => ({ value, label: t(`common:protocols.${value}`) }))}
          value={lane.protocol}
          allowDeselect={false}
          onChange={(value) => value && isProtocol(value) && onTarget({ protocol: value })}
        />
      </div>
      <Autocomplete
        className={classes.model}
        aria-label={`${label}${t('target.model')}`}
        placeholder={t('target.placeholder')}
        data={models}
        value={model}
        onChange={(model) => onTarget({ model })}
        limit={100}
        maxDropdownHeight={320}
        openOnFocus={model === ''}
        error={model.trim() === ''}
      />
      {onClose && (
        <Tooltip label={t('target.close')}>
          <ActionIcon variant="subtle" color="gray" size={36} aria-label={t('target.close')} onClick={onClose}>
            <IconX size={16} />
          </ActionIcon>
        </Tooltip>
      )}
    </div>
  );
}
