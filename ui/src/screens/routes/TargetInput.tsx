import { Autocomplete, type AutocompleteProps } from '@mantine/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useTargets } from '../pools/useTargets';

/** Where requests are led: a pool, a declared model, a provider, or one of its models. */
export function TargetInput(props: Omit<AutocompleteProps, 'data'>) {
  const { t } = useTranslation(['routes', 'common']);
  const { names, providers, targets } = useTargets();
  const data = useMemo(() => {
    // A name may stand in one group only.
    const seen = new Set<string>();
    const once = (items: string[]) => items.filter((item) => !seen.has(item) && seen.add(item));
    return [
      { group: t('to.names'), items: once(names) },
      { group: t('to.providers'), items: once(providers) },
      { group: t('to.models'), items: once(targets) },
    ].filter(({ items }) => items.length > 0);
  }, [names, providers, targets, t]);
  return <Autocomplete data={data} limit={40} maxDropdownHeight={320} spellCheck={false} autoComplete="off" autoCapitalize="off" {...props} />;
}
