import { Button, Group, Progress, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../api/client';
import { getJson } from '../api/list';
import { Facts } from './Facts';
import { useFormat } from './format';
import { ProblemAlert } from './ProblemAlert';
import { monthOf, ownRange } from './range';
import { useAmountWords, useLimitWords } from './rules/RulesSummary';
import type { Limit } from './rules/rules';
import { colourOf, usedShare } from './standing';

interface Props {
  kind: 'key' | 'user' | 'team';
  of: { id: string; limits: Limit[] };
}

/** What a key, a user or a team used this month, what is left of its limits, and where more is told of that. */
export function Used({ kind, of }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  // `key` is what admin keys are shown with.
  const only = { [kind === 'key' ? 'of_key' : kind]: of.id };
  const month = monthOf(0);
  const used = useQuery({
    queryKey: ['get', '/admin/api/usage', 'of', kind, of.id, month.from],
    queryFn: ({ signal }) => getJson<Schemas['Usage']>('/admin/api/usage', { ...only, from: month.from }, signal),
  });
  // Where nothing was used there is no row.
  const sum = used.data && (used.data.rows[0] ?? { requests: 0, tokens: 0, cost: {} });
  return (
    <Stack gap="xs">
      <Text fw={600} size="sm">
        {t('used.title')}
      </Text>
      {used.error ? (
        <ProblemAlert problem={used.error} onRetry={() => void used.refetch()} />
      ) : (
        <Facts
          facts={[
            [t('used.requests'), format.number(sum?.requests)],
            [t('used.tokens'), format.number(sum?.tokens)],
            [t('used.cost'), format.money(sum?.cost)],
          ]}
        />
      )}
      {of.limits.length > 0 && <Left kind={kind} id={of.id} />}
      <Group gap="xs">
        <Button size="xs" variant="default" component={Link} to="/requests" search={only as never}>
          {t('screens.requests')}
        </Button>
        <Button size="xs" variant="default" component={Link} to="/usage" search={{ ...only, ...ownRange(month.from, month.to) } as never}>
          {t('screens.usage')}
        </Button>
      </Group>
    </Stack>
  );
}

/** What is left of each limit. */
function Left({ kind, id }: { kind: Props['kind']; id: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useLimitWords();
  const amount = useAmountWords();
  const { data, error, refetch } = useQuery({
    queryKey: ['get', '/admin/api/quotas', 'of', kind, id],
    // The ids of limits begin with what they are of.
    queryFn: async ({ signal }) => (await getJson<{ quotas: Schemas['QuotaStanding'][] }>('/admin/api/quotas', { q: `${kind}/${id}/`, limit: 500 }, signal)).quotas,
    refetchInterval: 15_000,
  });
  return (
    <>
      {!data && <ProblemAlert problem={error} onRetry={() => void refetch()} />}
      {data?.map((quota) => {
        const share = usedShare(quota.amount, quota.left);
        const limit = words(quota as unknown as Limit);
        return (
          <div key={quota.id}>
            <Group justify="space-between" gap="xs">
              <Text size="sm">{limit}</Text>
              <Text size="xs" c="dimmed">
                {t('used.left', { left: amount(quota.what, quota.left) })}
                {quota.resets_at && ` · ${t('used.resets', { when: format.ago(quota.resets_at) })}`}
              </Text>
            </Group>
            <Progress value={share * 100} color={colourOf(share)} aria-label={limit} />
          </div>
        );
      })}
    </>
  );
}
