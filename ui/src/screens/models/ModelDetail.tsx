import { Alert, Anchor, Badge, Button, Group, Stack, Text, Title } from '@mantine/core';
import { IconArrowGuide, IconHelpHexagon, IconLock, IconMessages } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { CopyIcon } from '../../widgets/Copy';
import { useFormat } from '../../widgets/format';
import { RuleText } from '../explain/RuleText';
import { sharesOf } from '../pools/pool';
import { type Model, type Price, priceOf, stages } from './model';
import { PriceTable } from './PriceText';

/** A name that clients may ask for: where it leads, who says so, and what it costs. */
export function ModelDetail({ model, owner, prices, services, onRule }: { model: Model; owner: string | null; prices: Map<string, Price>; services: Map<string, string>; onRule: () => void }) {
  const { t } = useTranslation(['models', 'common']);
  const format = useFormat();
  const priced = model.targets.flatMap((target) => {
    const price = priceOf(prices, services, target);
    return price ? [{ target, price }] : [];
  });
  const pattern = model.kind === 'pattern';
  return (
    <Stack gap="md">
      <Group gap="xs">
        <Text ff="monospace" component="bdi">
          {model.name}
        </Text>
        <CopyIcon text={model.name} label={t('copyName')} />
        <Badge>{t(`kinds.${model.kind}`)}</Badge>
        {owner && <Badge color="gray">{t(`common:origins.${owner}`)}</Badge>}
      </Group>
      {(model.kind === 'model' || pattern) && (
        <Alert color="gray" variant="light" icon={<IconLock size={18} />}>
          {t('fileOwned')}
        </Alert>
      )}
      <Text size="sm">{model.rule ? <RuleText text={model.rule} /> : t('patternRule')}</Text>
      <Group gap="xs">
        {!pattern && (
          <>
            <Button component={Link} to="/explain" search={{ model: model.name } as never} size="xs" variant="default" leftSection={<IconHelpHexagon size={15} />}>
              {t('common:screens.explain')}
            </Button>
            <Button component={Link} to="/playground" search={{ model: model.name } as never} size="xs" variant="default" leftSection={<IconMessages size={15} />}>
              {t('try')}
            </Button>
          </>
        )}
        {model.kind === 'pool' ? (
          <Button component={Link} to="/pools" search={{ open: model.name } as never} size="xs" variant="default">
            {t('openPool')}
          </Button>
        ) : (
          <Button size="xs" variant="default" leftSection={<IconArrowGuide size={15} />} onClick={onRule}>
            {t('rule.instead')}
          </Button>
        )}
      </Group>
      <section aria-label={t('targets')}>
        <Title order={3} mb="xs">
          {t('targets')}
        </Title>
        <Stack gap="xs">
          {stages(model.targets).map((targets, at) => {
            const shares = sharesOf(targets.map(({ provider, model, weight }) => ({ target: `${provider}/${model}`, weight })));
            return (
              <div key={at}>
                {at > 0 && (
                  <Text size="xs" c="dimmed" mb={4}>
                    {t('otherwise')}
                  </Text>
                )}
                {targets.map((target, place) => (
                  <Group key={place} gap="xs" wrap="nowrap" justify="space-between">
                    <Text size="sm" component="bdi" style={{ overflowWrap: 'anywhere' }}>
                      <Anchor component={Link} to="/providers" search={{ open: target.provider } as never} inherit underline="always">
                        {target.provider}
                      </Anchor>
                      /{target.model}
                    </Text>
                    <Text size="xs" c="dimmed" style={{ flex: 'none' }}>
                      {t('weight', { weight: target.weight })}
                      {shares && targets.length > 1 && model.kind !== 'listed' && ` · ${format.percent(shares[place], 0)}`}
                    </Text>
                  </Group>
                ))}
              </div>
            );
          })}
        </Stack>
      </section>
      <section aria-label={t('price.title')}>
        <Title order={3} mb="xs">
          {t('price.title')}
        </Title>
        {priced.length === 0 ? (
          <Text size="sm" c="dimmed">
            {t('price.none')}
          </Text>
        ) : (
          <Stack gap="md">
            {priced.map(({ target, price }, at) => (
              <div key={at}>
                <Text size="sm" fw={500} component="bdi">
                  {target.provider}/{target.model}
                </Text>
                <PriceTable price={price} />
              </div>
            ))}
          </Stack>
        )}
      </section>
    </Stack>
  );
}
