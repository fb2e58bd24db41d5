import { Badge, Tooltip } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useCountdown } from './format';

const COLOURS: Record<string, string> = {
  ready: 'teal', cooling: 'orange', exhausted: 'grape', refreshing: 'blue', invalid: 'red', disabled: 'gray',
};

/** The state of a provider, credential or token; how long it still rests is counted down. */
export function StateBadge({ state, until, reason }: { state: string | null | undefined; until?: number | null; reason?: string | null }) {
  const { t } = useTranslation();
  const left = useCountdown(until);
  if (!state) return <Badge color="gray">{t('states.none')}</Badge>;
  const badge = (
    <Badge color={COLOURS[state] ?? 'gray'} data-state={state}>
      {t(`states.${state}`, { defaultValue: state })}
      {left ? ` · ${left}` : ''}
    </Badge>
  );
  return reason ? (
    <Tooltip label={reason} multiline maw={420}>
      {badge}
    </Tooltip>
  ) : (
    badge
  );
}
