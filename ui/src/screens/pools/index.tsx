import { Button, Drawer, SimpleGrid, Skeleton, Stack, Title } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { useAll } from '../../api/list';
import { Confirm } from '../../widgets/confirm';
import { Empty } from '../../widgets/Empty';
import { PageHeader } from '../../widgets/PageHeader';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { useSearch } from '../../widgets/search';
import { useHeld } from '../../widgets/useHeld';
import { emptyDraft, type Pool, type Tier, TIERS } from './pool';
import { MissingTier, PoolCard } from './PoolCard';
import { PoolEditor } from './PoolEditor';

/** The pools: those of the three tiers first, whether they are there or not, then others. */
export default function Screen() {
  const { t } = useTranslation(['pools', 'common']);
  const [search, setSearch] = useSearch({ open: '', new: '' });
  const { rows, error, isPending, refetch } = useAll('/admin/api/pools', 'pools', {}, { refetchInterval: 15_000 });
  const client = useQueryClient();
  const tierOf = (pool: Pool) => pool.tier ?? (pool.definition?.tier as string | undefined) ?? null;
  const others = rows.filter((pool) => !TIERS.includes(tierOf(pool) as Tier));
  // What was done is written down with ids (see the audit), everything else calls pools by their names.
  const { held: open, gone } = useHeld(search.open, rows.find(({ name }) => name === search.open) ?? rows.find(({ id }) => id === search.open));
  const making = search.new === 'own' || TIERS.includes(search.new as Tier) ? search.new : '';
  const shut = () => setSearch({ open: '', new: '' });
  // It is shown at once, before the list has been read again.
  const done = (pool: Pool) => {
    client.setQueryData<Pool[]>(['get', '/admin/api/pools', 'all', {}], (rows) => rows && [...rows.filter(({ name }) => name !== pool.name), pool]);
    setSearch({ open: pool.name, new: '' });
  };
  const card = (pool: Pool) => <PoolCard key={pool.id ?? pool.name} pool={pool} onOpen={() => setSearch({ open: pool.name, new: '' })} />;
  return (
    <>
      <PageHeader title={t('common:screens.pools')} about={t('about')}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setSearch({ new: 'own', open: '' })}>
          {t('make')}
        </Button>
      </PageHeader>
      {error && <ProblemAlert problem={error} onRetry={() => void refetch()} />}
      {isPending ? (
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} role="status" aria-label={t('common:waiting')}>
          {TIERS.map((tier) => (
            <Skeleton key={tier} height={190} />
          ))}
        </SimpleGrid>
      ) : (
        (!error || rows.length > 0) && (
          <Stack gap="lg">
            <section aria-label={t('tierPools')}>
              <Title order={2} mb="xs">
                {t('tierPools')}
              </Title>
              <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
                {TIERS.map((tier) => {
                  const of = rows.filter((pool) => tierOf(pool) === tier);
                  return of.length > 0 ? of.map(card) : <MissingTier key={tier} tier={tier} onMake={() => setSearch({ new: tier, open: '' })} />;
                })}
              </SimpleGrid>
            </section>
            <section aria-label={t('ownPools')}>
              <Title order={2} mb="xs">
                {t('ownPools')}
              </Title>
              {others.length > 0 ? (
                <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>{others.map(card)}</SimpleGrid>
              ) : (
                <Empty title={t('empty.title')}>{t('empty.text')}</Empty>
              )}
            </section>
          </Stack>
        )
      )}
      <Drawer opened={open !== undefined || making !== ''} onClose={shut} size="min(760px, 100%)" title={open ? <bdi>{open.name}</bdi> : t('make')}>
        {open ? (
          <PoolEditor key={open.id ?? open.name} pool={open} gone={gone} pools={rows} onDone={done} onGone={shut} />
        ) : making !== '' ? (
          <PoolEditor
            key={making}
            initial={emptyDraft(making === 'own' ? '' : (making as Tier), rows.map((pool) => pool.name))}
            pools={rows}
            onDone={done}
            onGone={shut}
          />
        ) : null}
      </Drawer>
      {!open && search.open !== '' && !isPending && !error && (
        <Confirm opened onClose={shut} title={t('gone.title')} action={t('gone.make')} onConfirm={() => setSearch({ open: '', new: 'own' })}>
          {t('gone.text', { name: search.open })}
        </Confirm>
      )}
    </>
  );
}
