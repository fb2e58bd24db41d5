import { Anchor } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Trans, useTranslation } from 'react-i18next';

import { readRule } from './rule';

/** The rule that found a model's targets, in the reader's language, with a link to the rule itself. */
export function RuleText({ text, plain }: { text: string; plain?: boolean }) {
  const { t } = useTranslation(['explain', 'common']);
  const rule = readRule(text);
  if (rule.kind === 'other') return <>{rule.text}</>;
  const to = rule.kind === 'pool' || rule.kind === 'word' ? { to: '/pools', open: rule.name } : rule.kind === 'route' ? { to: '/routes', open: String(rule.index) } : null;
  const name = <bdi style={{ fontFamily: 'var(--mantine-font-family-monospace)' }} />;
  return (
    <Trans
      t={t}
      ns="explain"
      i18nKey={`rules.${rule.kind}` as never}
      values={{ name: 'name' in rule ? rule.name : '', word: 'word' in rule ? rule.word : '', index: 'index' in rule ? rule.index + 1 : 0 }}
      components={{
        n: name,
        a: to && !plain ? <Anchor component={Link} inherit to={to.to} search={{ open: to.open } as never} /> : <span />,
      }}
    />
  );
}
