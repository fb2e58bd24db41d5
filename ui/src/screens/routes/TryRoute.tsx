import { Alert, Anchor, Button, Group, Text } from '@mantine/core';
import { IconCheck, IconHelpHexagon, IconRoute } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import { useAll } from '../../api/list';
import { useChange } from '../../api/query';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { ModelInput } from '../explain/ModelInput';
import { readRule } from '../explain/rule';
import { RuleText } from '../explain/RuleText';
import { sample } from './pattern';
import { type Draft, holds } from './route';

/** Asks the gateway what becomes of a request that the rule is made for. */
export function TryRoute({ draft, index, saved }: { draft: Draft; index: number | null; saved: boolean }) {
  const { t } = useTranslation(['routes', 'common']);
  const models = useAll('/admin/api/models', 'models', {}, { staleTime: 30_000 });
  const { when } = draft;
  const [typed, setTyped] = useState<string | null>(null);
  const model = typed ?? sample(when.model, when.keywords, models.rows.filter(({ kind }) => kind !== 'pattern').map(({ name }) => name));
  const headers = Object.fromEntries(when.headers.filter(({ name }) => name.trim()).map(({ name, value }) => [name.trim().toLowerCase(), value.replaceAll('*', 'x')]));
  const caller = when.callers[0]?.replaceAll('*', 'x');
  const ask = useChange(async () => {
    const question: Schemas['Question'] = { model, protocol: (when.protocol || 'chat') as Schemas['Question']['protocol'], headers, ...(caller ? { caller } : {}) };
    const { data } = await api.POST('/admin/api/explain', { body: question });
    return data as Schemas['Explanation'];
  });
  const rule = ask.data ? readRule(ask.data.rule) : null;
  const mine = rule?.kind === 'route' && index !== null && rule.index === index;
  const first = ask.data?.attempts[0];
  return (
    <div>
      <Group align="flex-end" gap="xs">
        <ModelInput label={t('try.model')} value={model} onChange={(value) => (setTyped(value), ask.reset())} style={{ flex: 1, minWidth: 200 }} />
        <Button variant="default" leftSection={<IconHelpHexagon size={16} />} onClick={() => ask.mutate()} loading={ask.isPending} disabled={model.trim() === ''}>
          {t('try.do')}
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        {saved ? t('try.about') : holds(when, { model, protocol: when.protocol || 'chat', headers, caller }) ? t('try.unsavedFits') : t('try.unsavedNot')}
      </Text>
      <div role="status">
        {ask.data && (
          <Alert mt="xs" color={mine ? 'teal' : 'orange'} variant="light" icon={mine ? <IconCheck /> : <IconRoute />} title={mine ? t('try.mine') : t('try.other')}>
            <Text size="sm">
              <RuleText text={ask.data.rule} />
            </Text>
            {first && (
              <Text size="sm">
                <bdi>{model}</bdi> → <bdi>{`${first.provider}/${first.model}`}</bdi>
              </Text>
            )}
            <Anchor component={Link} size="sm" to="/explain" search={{ model, ...(when.protocol ? { protocol: when.protocol } : {}) } as never}>
              {t('try.more')}
            </Anchor>
          </Alert>
        )}
      </div>
      {ask.error && <ProblemAlert problem={ask.error} />}
    </div>
  );
}
