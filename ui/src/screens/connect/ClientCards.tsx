import { Accordion, Anchor, Badge, Group, List, Stack, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { Code } from '../../widgets/Copy';
import { ProblemAlert } from '../../widgets/ProblemAlert';
import { Waiting } from '../../widgets/Waiting';
import { type Client, fetchClients, shellLines, withKey } from './clients';
import { noteIn } from './notes';

/** A card for each client program that is known, with everything it needs filled in. */
export function ClientCards({ model, keyText }: { model: string; keyText?: string }) {
  const { t } = useTranslation(['connect', 'common']);
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['get', '/admin/api/clients', model],
    queryFn: ({ signal }) => fetchClients(model, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });
  if (isPending) return <Waiting />;
  if (!data) return <ProblemAlert problem={error} onRetry={() => void refetch()} />;
  return (
    <Accordion variant="separated" keepMounted={false} order={3}>
      {data.map((client) => (
        <Accordion.Item key={client.name} value={client.name}>
          <Accordion.Control>
            <Group gap="xs">
              <Text fw={600}>{client.title}</Text>
              {client.protocol && <Badge color="gray">{t(`common:protocols.${client.protocol}`, { defaultValue: client.protocol })}</Badge>}
            </Group>
          </Accordion.Control>
          <Accordion.Panel>
            <Steps client={client} keyText={keyText} />
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  );
}

function Steps({ client, keyText }: { client: Client; keyText?: string }) {
  const { t, i18n } = useTranslation(['connect', 'common']);
  const lines = shellLines(client);
  return (
    <Stack gap="sm">
      {client.needs_model && (
        <Text size="sm" c="dimmed">
          {t('needsModel')}
        </Text>
      )}
      {client.install.length > 0 && (
        <>
          <Text size="sm">{t('install')}</Text>
          <Code text={client.install.join('\n')} label={t('install')} />
        </>
      )}
      {lines && (
        <>
          <Text size="sm">{t('shell')}</Text>
          <Code text={withKey(lines, keyText)} label={t('shell')} />
        </>
      )}
      {client.files.map((file) => (
        <Stack key={file.path} gap={4}>
          <Text size="sm">
            {t('file')} <code>{file.path}</code>
          </Text>
          <Code text={withKey(file.content, keyText)} label={file.path} maxHeight={320} />
        </Stack>
      ))}
      {client.notes.length > 0 && (
        <List size="sm">
          {client.notes.map((note) => (
            <List.Item key={note}>
              <bdi>{withKey(noteIn(i18n.language, note), keyText)}</bdi>
            </List.Item>
          ))}
        </List>
      )}
      <Text size="sm" c="dimmed">
        {t('byCommand')} <code>polyport connect {client.name}</code>
        {client.guide && (
          <>
            {' · '}
            <Anchor underline="always" href={client.guide} target="_blank" rel="noreferrer">
              {t('guide')}
            </Anchor>
          </>
        )}
      </Text>
    </Stack>
  );
}
