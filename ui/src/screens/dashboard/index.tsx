import { Group, Stack, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { PageHeader } from '../../widgets/PageHeader';
import { isOwn, ownRange } from '../../widgets/range';
import { RangePicker } from '../../widgets/RangePicker';
import { useSearch } from '../../widgets/search';
import { Attention } from './Attention';
import { LiveStrip } from './LiveStrip';
import { Plots } from './Plots';
import { ProviderStrip } from './ProviderStrip';
import { SPANS_SHOWN, USUAL } from './spans';
import { Start } from './Start';
import { Tops } from './Tops';
import { useLive } from './useLive';

export default function Dashboard() {
  const { t } = useTranslation(['dashboard', 'common']);
  const [search, setSearch] = useSearch({ range: USUAL as string, from: '', to: '' });
  return (
    <>
      <PageHeader title={t('common:screens.dashboard')} about={t('about')} />
      <Stack gap="lg">
        <Start />
        <Attention />
        <Now />
        <Group justify="space-between" gap="xs">
          <Title order={2}>{t('past')}</Title>
          <RangePicker spans={SPANS_SHOWN} usual={USUAL} search={search} onChange={setSearch} />
        </Group>
        <Plots
          search={search}
          onZoom={(from, to) => setSearch(ownRange(from, to))}
          onReset={isOwn(search) ? () => setSearch({ from: '', to: '' }) : undefined}
        />
        <Tops search={search} />
      </Stack>
    </>
  );
}

/** What changes every second is drawn anew every second, and nothing else. */
function Now() {
  const { live, state, problem } = useLive();
  return (
    <>
      <LiveStrip live={live} state={state} problem={problem} />
      {live.providers && live.providers.length > 0 && <ProviderStrip providers={live.providers} />}
    </>
  );
}
