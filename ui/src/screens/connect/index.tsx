import { Autocomplete, SimpleGrid, Stack, Table, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { CopyIcon } from '../../widgets/Copy';
import { PageHeader } from '../../widgets/PageHeader';
import { Panel } from '../../widgets/Panel';
import { useModelNames } from '../../widgets/rules/RulesFields';
import { useSearch } from '../../widgets/search';
import { useTypedText } from '../../widgets/SearchInput';
import { SecretOnce } from '../../widgets/SecretOnce';
import { ClientCards } from './ClientCards';
import { addresses } from './clients';
import { MakeKey } from './MakeKey';

/** How a client program comes here: address, key, model, and what each program wants to be told. */
export default function Connect() {
  const { t } = useTranslation(['connect', 'common']);
  const models = useModelNames();
  const [search, setSearch] = useSearch({ model: '' });
  const { model } = search;
  const field = useTypedText(model, (model) => setSearch({ model }));
  const [key, setKey] = useState<string>();
  return (
    <>
      <PageHeader title={t('common:screens.connect')} about={t('about')} />
      <Stack>
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          <Panel title={t('keyTitle')}>
            {key ? (
              <SecretOnce secret={key} label={t('keyTitle')} />
            ) : (
              <>
                <Text size="sm" mb="sm">
                  {t('keyText')}
                </Text>
                <MakeKey suggested={t('keySuggested')} onMade={setKey} />
              </>
            )}
          </Panel>
          <Panel title={t('modelTitle')}>
            <Text size="sm" mb="sm">
              {t('modelText')}
            </Text>
            <Autocomplete label={t('model')} data={models} limit={50} {...field} />
          </Panel>
        </SimpleGrid>
        <Panel title={t('programs')}>
          <ClientCards model={model} keyText={key} />
        </Panel>
        <Panel title={t('others')}>
          <Text size="sm" mb="sm">
            {t('othersText')}
          </Text>
          <Table.ScrollContainer minWidth={480} scrollAreaProps={{ viewportProps: { tabIndex: 0, 'aria-label': t('others') } }}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('protocol')}</Table.Th>
                  <Table.Th>{t('base')}</Table.Th>
                  <Table.Th>{t('path')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {addresses(window.location.origin).map(({ protocol, base, path }) => (
                  <Table.Tr key={protocol}>
                    <Table.Td>{t(`common:protocols.${protocol}`)}</Table.Td>
                    <Table.Td>
                      <code>{base}</code> <CopyIcon text={base} label={t('copyBase', { protocol: t(`common:protocols.${protocol}`) })} />
                    </Table.Td>
                    <Table.Td>
                      <code>{path}</code>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Panel>
      </Stack>
    </>
  );
}
