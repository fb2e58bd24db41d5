import { Anchor, Group, List, Loader, Stack, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { api, type Schemas } from '../../api/client';
import type { Problem } from '../../api/problem';
import { JsonView } from '../../widgets/JsonView';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { RuleText } from '../explain/RuleText';
import type { ClientProtocol } from './protocols/neutral';

interface Props {
  protocol: ClientProtocol;
  model: string;
  body: Record<string, unknown> | null;
  /** The answer streams: of Gemini the body does not say so. */
  stream: boolean;
  /** The name of the key that asks: routes may look at it. */
  caller?: string;
}

/** The request as the first provider would get it now. Nothing is sent there. */
export function Converted({ protocol, model, body, stream, caller }: Props) {
  const { t } = useTranslation(['playground', 'explain', 'requests', 'common']);
  const [asked] = useDebouncedValue(JSON.stringify({ protocol, model, caller, body, ...(protocol === 'gemini' && { stream }) }), 400);
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['playground', 'explain', asked],
    queryFn: async ({ signal }) => (await api.POST('/admin/api/explain', { body: JSON.parse(asked) as Schemas['Question'], signal })).data as Schemas['Explanation'],
    enabled: body !== null && model.trim() !== '',
    retry: false,
    gcTime: 0,
    placeholderData: (before) => before,
  });
  if (body === null || model.trim() === '') return <Text size="sm" c="dimmed">{t('converted.none')}</Text>;
  if (error) return <ProblemAlert problem={error as Problem} onRetry={() => void refetch()} />;
  if (isPending || !data) return <Loader size="sm" type="dots" />;
  const first = data.attempts[0];
  const { request } = data;
  return (
    <Stack gap="sm">
      <Text size="sm">{t('converted.about')}</Text>
      <Group gap="xs">
        <Text size="sm" c="dimmed">
          <RuleText text={data.rule} />
        </Text>
        {first ? (
          <Text size="sm">
            → <bdi>{first.provider}/{first.model}</bdi> · {first.protocol}
            {data.attempts.length > 1 && ` · ${t('converted.others', { count: data.attempts.length - 1 })}`}
          </Text>
        ) : (
          <Text size="sm">{t('converted.nobody')}</Text>
        )}
      </Group>
      {first && <Text size="xs" c="dimmed" ff="monospace">{first.address}</Text>}
      {request && request.losses.length > 0 && (
        <List size="sm">
          {request.losses.map((loss, at) => (
            <List.Item key={at}>
              {t(`explain:loss.codes.${String(loss.code).replaceAll('.', '_')}`, { defaultValue: String(loss.code) })}: {t(`explain:loss.actions.${String(loss.action)}`, { defaultValue: String(loss.action) })}{' '}
              <code>{String(loss.path ?? '')}</code> <bdi>{String(loss.detail ?? '')}</bdi>
            </List.Item>
          ))}
        </List>
      )}
      {request?.unchanged && <Text size="sm" c="dimmed">{t('converted.unchanged')}</Text>}
      {request && <JsonView label={t('converted.body')} value={request.body} maxHeight={440} extra={<Text size="xs" c="dimmed">{t('converted.tokens', { count: request.input_tokens })}</Text>} />}
      <Anchor component={Link} to="/explain" search={{ model, protocol } as never} size="sm">
        {t('converted.more')}
      </Anchor>
    </Stack>
  );
}
