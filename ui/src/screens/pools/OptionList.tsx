import { Badge, Checkbox, Group, Text } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useRef } from 'react';
import { useTranslation } from 'react-i18next';

const HEIGHT = 28;

interface Props {
  options: string[];
  chosen: string[];
  /** Those that cannot be chosen because they are there already. */
  there: string[];
  onToggle: (target: string) => void;
}

/** Targets to be ticked; a service may list thousands, so only those that are seen are drawn. */
export const OptionList = memo(function OptionList({ options, chosen, there, onToggle }: Props) {
  const { t } = useTranslation(['pools', 'common']);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: options.length, getScrollElement: () => scroller.current, estimateSize: () => HEIGHT, overscan: 8 });
  return (
    <div ref={scroller} style={{ maxHeight: '46dvh', overflowY: 'auto' }} tabIndex={0} role="group" aria-label={t('add.list')}>
      <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {virtual.getVirtualItems().map((item) => {
          const target = options[item.index] ?? '';
          const known = there.includes(target);
          return (
            <div key={target} style={{ position: 'absolute', top: item.start, left: 4, right: 4, height: HEIGHT, display: 'flex', alignItems: 'center' }}>
              <Checkbox
                checked={known || chosen.includes(target)}
                disabled={known}
                onChange={() => onToggle(target)}
                label={
                  <Group gap={6} wrap="nowrap" style={{ whiteSpace: 'nowrap' }}>
                    <bdi>{target}</bdi>
                    {!target.includes('/') && <Badge size="sm">{t('add.name')}</Badge>}
                    {known && (
                      <Text span size="xs" c="dimmed">
                        {t('add.there')}
                      </Text>
                    )}
                  </Group>
                }
              />
            </div>
          );
        })}
      </div>
    </div>
  );
});
