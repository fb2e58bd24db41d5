import { Alert, Group, SimpleGrid, Stack, Switch, Text } from '@mantine/core';
import { IconArrowsExchange } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '../../api/client';
import { differences } from '../../widgets/diff';
import { useFormat } from '../../widgets/format';
import { type JsonLine, lineText, writeJson } from '../../widgets/json';
import { JsonView, linesOf } from '../../widgets/JsonView';
import { Panel } from '../../widgets/Panel';
import { type Loss, LossTable } from './LossTable';

/** The client's body beside what the first target gets, and what is lost in between. */
export function Bodies({ original, protocol, target, converted }: { original: string; protocol: string; target: string; converted: Schemas['Converted'] }) {
  const { t } = useTranslation(['explain', 'common']);
  const format = useFormat();
  const [marks, setMarks] = useState(true);
  const after = useMemo(() => writeJson(converted.body), [converted]);
  const marked = useMemo(() => {
    const before = linesOf(original).lines;
    const behind = linesOf(after).lines;
    const bare = (lines: JsonLine[]) => lines.map((line) => lineText({ ...line, comma: false }));
    const found = differences(bare(before), bare(behind));
    return { before: telling(before, found.before), after: telling(behind, found.after) };
  }, [original, after]);
  const losses = converted.losses as unknown as Loss[];
  return (
    <Stack>
      <Panel
        title={t('bodies.title')}
        actions={<Switch size="sm" label={t('bodies.marks')} checked={marks} onChange={(event) => setMarks(event.currentTarget.checked)} />}
      >
        <Group gap="xs" mb="sm" wrap="nowrap">
          <IconArrowsExchange size={18} style={{ flexShrink: 0 }} />
          <Text size="sm">
            {t(converted.unchanged ? 'bodies.unchanged' : 'bodies.changed')} {t('bodies.tokens', { count: converted.input_tokens, shown: format.number(converted.input_tokens) })}
          </Text>
        </Group>
        <SimpleGrid cols={{ base: 1, lg: 2 }}>
          <JsonView label={t('bodies.original', { protocol: t(`common:protocols.${protocol}`, { defaultValue: protocol }) })} text={original} marked={marks ? marked.before : undefined} side="before" maxHeight={520} />
          <JsonView label={t('bodies.converted', { target })} text={after} marked={marks ? marked.after : undefined} side="after" maxHeight={520} />
        </SimpleGrid>
      </Panel>
      <Panel title={t('loss.title')}>
        {losses.length > 0 ? (
          <LossTable losses={losses} />
        ) : (
          <Alert color="teal" variant="light">
            {t('loss.none')}
          </Alert>
        )}
      </Panel>
    </Stack>
  );
}

/** Without brackets that stand alone: they differ wherever something around them does. */
function telling(lines: JsonLine[], places: Set<number>): Set<number> {
  return new Set([...places].filter((at) => lines[at]?.kind !== 'close' && (lines[at]?.kind !== 'open' || lines[at]?.name !== undefined)));
}
