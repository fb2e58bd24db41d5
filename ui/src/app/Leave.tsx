import { useBlocker } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Confirm } from '../widgets/confirm';
import { stayed } from '../widgets/search';
import { anyUnsaved, askToLeave, loses, useLeaving } from '../widgets/unsaved';

/** Asks before what was typed is lost, wherever it was typed. */
export function Leave() {
  // The words themselves may be what is waited for.
  const { t } = useTranslation('common', { useSuspense: false });
  const { unsaved, question } = useLeaving();
  useBlocker({ shouldBlockFn, enableBeforeUnload: anyUnsaved, disabled: !unsaved });
  // Not there before it is needed: what is opened last stands on top.
  return question ? (
    <Confirm opened onClose={() => question(false)} title={t('leave.title')} action={t('leave.do')} onConfirm={() => question(true)}>
      {t('leave.text')}
    </Confirm>
  ) : null;
}

async function shouldBlockFn({ current, next }: { current: { pathname: string; search: object }; next: { pathname: string; search: object } }) {
  const stays = loses(current, next) && !(await askToLeave());
  if (stays) stayed();
  return stays;
}
