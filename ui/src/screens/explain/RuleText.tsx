import { Anchor } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Trans, useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { whenOf } from '../routes/route';
import { WhenText } from '../routes/WhenText';
import { readRule } from './rule';

/** The rule that found a model's targets, in the reader's language, with a link to the rule itself. */
export function RuleText({ text }: { text: string }) {
  const { t } = useTranslation(['explain', 'common']);
  const rule = readRule(text);
  if (rule.kind === 'other') return <>{rule.text}</>;
  if (rule.kind === 'route') return <RouteText index={rule.index} />;
  return (
    <Trans
      t={t}
      ns="explain"
      i18nKey={`rules.${rule.kind}` as never}
      values={{ name: 'name' in rule ? rule.name : '', word: 'word' in rule ? rule.word : '' }}
      components={{
        n: <bdi style={{ fontFamily: 'var(--mantine-font-family-monospace)' }} />,
        a: rule.kind === 'pool' || rule.kind === 'word' ? <Anchor component={Link} inherit underline="always" to="/pools" search={{ open: rule.name } as never} /> : <span />,
      }}
    />
  );
}

/** A route by its place in the configuration: said by what it looks at, as nobody counts them. */
function RouteText({ index }: { index: number }) {
  const { t } = useTranslation(['explain', 'common']);
  const { rows } = useAll('/admin/api/routes', 'routes', {}, { staleTime: 15_000 });
  const route = rows.find((route) => route.index === index);
  return (
    <>
      <Trans t={t} ns="explain" i18nKey="rules.route" components={{ a: <Anchor component={Link} inherit underline="always" to="/routes" search={{ open: String(index) } as never} /> }} />
      {route && (
        <>
          {' '}
          (<WhenText when={whenOf(route)} />)
        </>
      )}
    </>
  );
}
