import { Fragment } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import type { When } from './route';

/** The conditions of a rule, said in words. */
export function WhenText({ when }: { when: When }) {
  const { t } = useTranslation(['routes', 'common']);
  const or = (all: string[]) => all.join(t('when.or'));
  const parts: { key: string; values: Record<string, string> }[] = [];
  if (when.model !== '') parts.push({ key: when.model.includes('*') ? 'glob' : 'model', values: { text: when.model } });
  if (when.keywords.length > 0) parts.push({ key: 'keywords', values: { text: or(when.keywords) } });
  if (when.protocol !== '') parts.push({ key: 'protocol', values: { text: t(`common:protocols.${when.protocol}`, { defaultValue: when.protocol }) } });
  for (const { name, value } of when.headers) parts.push({ key: 'header', values: { name, text: value } });
  if (when.callers.length > 0) parts.push({ key: 'caller', values: { text: or(when.callers) } });
  if (parts.length === 0) return <>{t('when.always')}</>;
  const name = <bdi style={{ fontWeight: 600 }} />;
  return (
    <>
      {parts.map(({ key, values }, at) => (
        <Fragment key={at}>
          {at > 0 && t('when.and')}
          <Trans t={t} ns="routes" i18nKey={`when.${key}` as never} values={{ name: '', ...values }} components={{ n: name }} />
        </Fragment>
      ))}
    </>
  );
}
