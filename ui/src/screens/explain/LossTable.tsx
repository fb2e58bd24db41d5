import { Badge, Code, Table, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

/** One thing that a target cannot express. */
export interface Loss {
  code: string;
  action: string;
  /** How much it weighs; the request log does not keep it. */
  severity?: string;
  path: string;
  detail: string;
}

const COLOURS: Record<string, string> = { info: 'gray', warn: 'orange', error: 'red' };

/** What is lost on the way to a provider or back, and what was done about it. */
export function LossTable({ losses, onPath }: { losses: Loss[]; onPath?: (path: string) => void }) {
  const { t } = useTranslation(['explain', 'common']);
  const weighed = losses.some((loss) => loss.severity);
  return (
    <Table.ScrollContainer minWidth={560} type="native" tabIndex={0} role="group" aria-label={t('loss.title')}>
      <Table aria-label={t('loss.title')}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('loss.path')}</Table.Th>
            <Table.Th>{t('loss.action')}</Table.Th>
            <Table.Th>{t('loss.why')}</Table.Th>
            {weighed && <Table.Th>{t('loss.weight')}</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {losses.map((loss, at) => (
            <Table.Tr key={at}>
              <Table.Td>
                {onPath ? (
                  <Code component="button" style={{ border: 0, cursor: 'pointer', textAlign: 'start' }} onClick={() => onPath(loss.path)} aria-label={t('loss.show', { path: loss.path })}>
                    {loss.path}
                  </Code>
                ) : (
                  <Code>{loss.path}</Code>
                )}
              </Table.Td>
              <Table.Td>{t(`loss.actions.${loss.action}`, { defaultValue: loss.action })}</Table.Td>
              <Table.Td>
                <Text size="sm">{t(`loss.codes.${loss.code.replaceAll('.', '_')}`, { defaultValue: loss.code })}</Text>
                {loss.detail && (
                  <Text size="xs" c="dimmed" component="bdi">
                    {loss.detail}
                  </Text>
                )}
              </Table.Td>
              {weighed && (
                <Table.Td>
                  {loss.severity && <Badge color={COLOURS[loss.severity] ?? 'gray'}>{t(`loss.severities.${loss.severity}`, { defaultValue: loss.severity })}</Badge>}
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
