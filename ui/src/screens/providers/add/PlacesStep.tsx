import { ActionIcon, Badge, Button, Group, Menu, MultiSelect, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconSparkles, IconX } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { type Draft, isFixed, type Place, type Pool, poolOf, suggested } from './draft';
import classes from './Steps.module.css';

interface Props {
  draft: Draft;
  pools: Pool[];
  onChange: (places: Place[]) => void;
  onSave: () => void;
  onBack: () => void;
  saving: boolean;
  /** What stands in the way of saving. */
  report: ReactNode;
  errors: Record<string, string>;
}

/** What the models are used for: the pools that they join. */
export function PlacesStep({ draft, pools, onChange, onSave, onBack, saving, report, errors }: Props) {
  const { t } = useTranslation(['providers', 'common']);
  const { places, models } = draft;
  const change = (id: string, next: Partial<Place>) => onChange(places.map((place) => (place.id === id ? { ...place, ...next } : place)));
  const shownPools = new Set(places.map((place) => poolOf(place, pools)?.name));
  const others = pools.filter((pool) => !pool.tier && !shownPools.has(pool.name));
  const add = (place: Omit<Place, 'models'>) => onChange([...places, { ...place, models: [] }]);
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-start" gap="xs">
        <Text size="sm" flex={1} miw={220}>
          {t('places.about')}
        </Text>
        <Button size="xs" variant="light" leftSection={<IconSparkles size={15} />} onClick={() => onChange(suggested(models, places, pools))} disabled={models.length === 0}>
          {t('places.suggest')}
        </Button>
      </Group>
      {models.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('places.noModels')}
        </Text>
      )}
      {models.length > 0 &&
        places.map((place) => {
          const there = poolOf(place, pools);
          const label = place.tier ? t(`places.tiers.${place.tier}`) : place.id.startsWith('new:') ? t('places.new') : place.name;
          return (
            <div key={place.id} className={classes.place}>
              <Group justify="space-between" gap="xs" mb={6}>
                <Group gap={8}>
                  <Text size="sm" fw={600}>
                    <bdi>{label}</bdi>
                  </Text>
                  {place.tier && <Badge color="gray">{there?.name ?? place.name}</Badge>}
                  {!place.id.startsWith('new:') && (
                    <Text size="xs" c="dimmed">
                      {there ? t('places.has', { count: there.targets?.length ?? 0 }) : t('places.willBe')}
                    </Text>
                  )}
                </Group>
                {!place.tier && (
                  <ActionIcon variant="subtle" color="gray" aria-label={`${t('places.remove')}: ${label}`} onClick={() => onChange(places.filter((one) => one !== place))}>
                    <IconX size={15} />
                  </ActionIcon>
                )}
              </Group>
              {place.id.startsWith('new:') && (
                <TextInput
                  mb={6}
                  size="xs"
                  aria-label={t('places.name')}
                  placeholder={t('places.namePlaceholder')}
                  value={place.name}
                  error={errors[place.id]}
                  onChange={(event) => change(place.id, { name: event.currentTarget.value })}
                />
              )}
              {isFixed(place, pools) ? (
                <Text size="xs" c="dimmed">
                  {t('places.fixed')}
                </Text>
              ) : (
                <MultiSelect
                  size="xs"
                  searchable
                  clearable
                  hidePickedOptions
                  aria-label={`${t('places.models')}: ${label}`}
                  placeholder={place.models.length > 0 ? undefined : t('places.pick')}
                  data={models}
                  value={place.models.filter((model) => models.includes(model))}
                  onChange={(value) => change(place.id, { models: value })}
                  maxDropdownHeight={220}
                  limit={200}
                />
              )}
            </div>
          );
        })}
      {models.length > 0 && (
        <Menu position="bottom-start">
          <Menu.Target>
            <Button size="xs" variant="default" leftSection={<IconPlus size={15} />} style={{ alignSelf: 'flex-start' }}>
              {t('places.more')}
            </Button>
          </Menu.Target>
          <Menu.Dropdown mah={300} style={{ overflow: 'auto' }}>
            <Menu.Item onClick={() => add({ id: `new:${Date.now()}`, name: '' })}>{t('places.new')}</Menu.Item>
            {others.map((pool) => (
              <Menu.Item key={pool.name} onClick={() => add({ id: `pool:${pool.name}`, name: pool.name })}>
                <bdi>{pool.name}</bdi>
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      <div aria-live="polite">{report}</div>
      <Group justify="space-between">
        <Button variant="default" onClick={onBack} disabled={saving}>
          {t('back')}
        </Button>
        <Button onClick={onSave} loading={saving}>
          {t('places.save')}
        </Button>
      </Group>
    </Stack>
  );
}
