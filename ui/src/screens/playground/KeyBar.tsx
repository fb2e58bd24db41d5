import { Alert, Badge, Button, Group, PasswordInput, Text, Tooltip } from '@mantine/core';
import { IconKey, IconLockOpen } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChange } from '../../api/query';
import { useFormat } from '../../widgets/format';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import type { useClientKey } from './clientKey';

type ClientKey = ReturnType<typeof useClientKey>;

/** With what models are asked: a short word where it is settled. */
export function KeyBadge({ client }: { client: ClientKey }) {
  const { t } = useTranslation(['playground', 'common']);
  const format = useFormat();
  const { state, held } = client;
  if (state === 'open') {
    return (
      <Tooltip label={t('key.openAbout')} multiline maw={320}>
        <Badge color="gray" size="lg" leftSection={<IconLockOpen size={13} />} tabIndex={0}>
          {t('key.open')}
        </Badge>
      </Tooltip>
    );
  }
  if (state !== 'held') return null;
  return (
    <Group gap={4}>
      <Tooltip label={held?.made ? t('key.madeAbout', { until: format.clock(held.made.until) }) : t('key.pastedAbout')} multiline maw={320}>
        <Badge color="teal" size="lg" leftSection={<IconKey size={13} />} tabIndex={0}>
          {held?.made ? held.made.name : t('key.pasted')}
        </Badge>
      </Tooltip>
      <Button size="compact-sm" variant="subtle" color="gray" onClick={() => void client.forget()}>
        {t('key.forget')}
      </Button>
    </Group>
  );
}

/** Where a key is needed: makes one for this tab, or takes one of the reader's. */
export function KeyNeeded({ client, refused }: { client: ClientKey; refused: boolean }) {
  const { t } = useTranslation(['playground', 'common']);
  const [text, setText] = useState('');
  const make = useChange(client.make);
  if (client.problem) return <ProblemAlert problem={client.problem} onRetry={client.retry} />;
  if (client.state !== 'needed' && !refused) return null;
  return (
    <Alert color="blue" variant="light" icon={<IconKey />} title={refused ? t('key.refused') : t('key.needed')} mb="md">
      <Text size="sm" mb="xs">
        {t('key.neededText')}
      </Text>
      <ProblemAlert problem={make.error} />
      <Group align="flex-end" gap="sm">
        <Button onClick={() => make.mutate()} loading={make.isPending}>
          {t('key.make')}
        </Button>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (text.trim()) client.paste(text);
            setText('');
          }}
        >
          <Group gap="xs" align="flex-end">
            <PasswordInput label={t('key.own')} w={240} autoComplete="off" value={text} onChange={(event) => setText(event.currentTarget.value)} />
            <Button type="submit" variant="default" disabled={text.trim() === ''}>
              {t('key.use')}
            </Button>
          </Group>
        </form>
      </Group>
    </Alert>
  );
}
