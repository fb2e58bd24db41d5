import { Badge, Button, Group, JsonInput, MultiSelect, Select, Switch, TagsInput, Text, TextInput, Tooltip } from '@mantine/core';
import { memo } from 'react';
import { useTranslation } from 'react-i18next';

import { Prose } from './Prose';
import classes from './Row.module.css';
import { type Draft, draftOf, type Setting, textOf, widgetOf } from './settings';

interface Props {
  setting: Setting;
  /** What is told of it in the reader's language. */
  about: string;
  /** What the reader changed; null: back to the default. */
  draft: Draft | null | undefined;
  error?: string;
  onChange: (setting: Setting, draft: Draft | null) => void;
}

const OWNERS: Record<string, string> = { file: 'grape', environment: 'indigo', argument: 'indigo', profile: 'indigo', database: 'harbour', default: 'gray' };

/** A setting: what it means, who says so, and what may be changed. */
export const Row = memo(function Row({ setting, about, draft, error, onChange }: Props) {
  const { t } = useTranslation(['settings', 'common']);
  const { path, owner, editable, restart } = setting;
  const usual = textOf(setting.default);
  const shown = draft === undefined ? draftOf(setting) : draft === null ? draftOf({ ...setting, value: setting.default }) : draft;
  const back = editable && (draft === undefined ? owner === 'database' : draft !== null);
  return (
    <div className={classes.row} data-changed={draft !== undefined || undefined} data-setting={path}>
      <div>
        <Group gap={6}>
          <span className={classes.path}>{path}</span>
          <Tooltip label={t(`owners.${owner}Text`)} multiline maw={320}>
            <Badge size="sm" color={OWNERS[owner] ?? 'gray'}>
              {t(`owners.${owner}`)}
            </Badge>
          </Tooltip>
          {restart && (
            <Badge size="sm" color="orange">
              {t('restart')}
            </Badge>
          )}
        </Group>
        <Text size="sm" c="dimmed" mt={2}>
          <Prose text={about} />
        </Text>
        {!editable && (
          <Text size="xs" c="dimmed" mt={2}>
            <Prose text={t(owner === 'database' || owner === 'default' ? 'onlyFile' : `elsewhere.${owner}`, { path })} />
          </Text>
        )}
      </div>
      <div>
        <Field setting={setting} shown={shown} error={error} onChange={onChange} />
        <Group gap="xs" mt={2} justify="space-between">
          <Text size="xs" c="dimmed" lineClamp={2}>
            {usual && widgetOf(setting) !== 'json' ? t('usual', { value: usual }) : ''}
          </Text>
          {back && (
            <Button size="compact-xs" variant="subtle" onClick={() => onChange(setting, owner === 'database' ? null : draftOf(setting))}>
              {t(owner === 'database' ? 'toUsual' : 'undo')}
            </Button>
          )}
        </Group>
      </div>
    </div>
  );
});

function Field({ setting, shown, error, onChange }: { setting: Setting; shown: Draft; error?: string; onChange: Props['onChange'] }) {
  const { t } = useTranslation(['settings', 'common']);
  const { path, words, kind, editable } = setting;
  const named = { 'aria-label': path, error, size: 'xs' as const };
  // What cannot be changed can be read, and copied.
  const same = { ...named, readOnly: !editable, variant: editable ? 'default' : 'filled' };
  const set = (draft: Draft) => onChange(setting, draft);
  switch (widgetOf(setting)) {
    case 'flag':
      return <Switch {...named} disabled={!editable} size="sm" checked={shown === true} label={t(shown === true ? 'common:enabled' : 'common:disabled')} onChange={(event) => set(event.currentTarget.checked)} />;
    case 'word':
      return <Select {...same} data={words ?? []} value={String(shown) || null} onChange={(word) => set(word ?? '')} clearable={setting.default === null} allowDeselect={setting.default === null} />;
    case 'words':
      return <MultiSelect {...same} data={words ?? []} value={shown as string[]} onChange={set} clearable />;
    case 'texts':
      return <TagsInput {...same} value={shown as string[]} onChange={set} />;
    case 'json':
      return <JsonInput {...same} value={String(shown)} onChange={set} autosize minRows={1} maxRows={14} spellCheck={false} placeholder={kind === 'list' ? '[]' : '{}'} />;
    default:
      return (
        <TextInput
          {...same}
          value={String(shown)}
          inputMode={kind === 'number' ? 'decimal' : undefined}
          placeholder={textOf(setting.default) || t(`kinds.${kind}`, { defaultValue: '' })}
          onChange={(event) => set(event.currentTarget.value)}
          spellCheck={false}
          autoComplete="off"
        />
      );
  }
}
