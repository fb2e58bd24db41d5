import { Alert, Badge, Group, Text } from '@mantine/core';
import { IconBrain, IconTool } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { Code } from '../../widgets/Copy';
import classes from './Playground.module.css';
import { parse } from './protocols/json';
import { dataUrl, type Part } from './protocols/neutral';

/** What was said: text as it is, reasoning apart, calls and results as cards. Nothing of it is taken for markup. */
export function Parts({ parts, live = false }: { parts: readonly Part[]; live?: boolean }) {
  return parts.map((part, at) => <One key={at} part={part} live={live && at === parts.length - 1} />);
}

function One({ part, live }: { part: Part; live: boolean }) {
  const { t } = useTranslation(['playground', 'common']);
  switch (part.kind) {
    case 'text':
      return (
        <div className={`${classes.text} ${live ? classes.cursor : ''}`} dir="auto">
          {part.text}
        </div>
      );
    case 'reasoning':
      return (
        <details className={classes.thought} open={live || undefined}>
          <summary>
            <IconBrain size={14} style={{ verticalAlign: '-2px' }} /> {t('answer.reasoning')}
          </summary>
          <div className={classes.text} dir="auto">
            {part.text}
          </div>
        </details>
      );
    case 'refusal':
      return (
        <Alert color="orange" variant="light" title={t('answer.refusal')}>
          <div className={classes.text} dir="auto">
            {part.text}
          </div>
        </Alert>
      );
    case 'image':
      return <img className={classes.picture} src={dataUrl(part)} alt={part.name ?? t('answer.image')} />;
    case 'call':
      return (
        <div className={classes.card}>
          <Group gap="xs">
            <IconTool size={15} />
            <Text size="sm" fw={600}>
              {t('answer.call')} <bdi>{part.name}</bdi>
            </Text>
            {part.id && <Badge variant="outline" color="gray">{part.id}</Badge>}
          </Group>
          <Code text={pretty(part.args)} label={t('answer.args', { name: part.name })} maxHeight={200} />
        </div>
      );
    case 'result':
      return (
        <div className={classes.card}>
          <Text size="sm" fw={600}>
            {t('answer.result')} <bdi>{part.name}</bdi>
          </Text>
          <div className={classes.text} dir="auto">
            {part.text}
          </div>
        </div>
      );
  }
}

function pretty(args: string): string {
  const value = parse(args);
  return value === undefined ? args || '{}' : JSON.stringify(value, null, 2);
}
