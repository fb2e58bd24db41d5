import { Button, FileButton, Group, Input, Text, Textarea } from '@mantine/core';
import { IconFileUpload, IconX } from '@tabler/icons-react';
import { type ReactNode, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '../../../widgets/format';
import { joined } from './parse';
import classes from './SecretInput.module.css';

/** A text longer than this is kept but not drawn: browsers take seconds to lay out a hundred thousand lines. */
const DRAWN = 150_000;
/** Files larger than this are no lists of credentials. */
const FILE = 64_000_000;

interface Props {
  label: string;
  description?: ReactNode;
  placeholder?: string;
  value: string;
  onChange: (text: string) => void;
  error?: ReactNode;
  disabled?: boolean;
  rows?: number;
  autoFocus?: boolean;
}

/** Where secrets are pasted, or dropped as files. They stay in the memory of the page until whoever holds them lets go. */
export function SecretInput({ label, description, placeholder, value, onChange, error, disabled, rows = 5, autoFocus }: Props) {
  const { t } = useTranslation(['credentials', 'common']);
  const format = useFormat();
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState('');
  // Otherwise the same file, chosen once more, would be no change.
  const reset = useRef<() => void>(null);
  const big = value.length > DRAWN;
  const lines = useMemo(() => (value ? countLines(value) : 0), [value]);

  const take = async (files: File[]) => {
    const large = files.find((file) => file.size > FILE);
    setRefused(large ? t('input.tooLarge', { name: large.name }) : '');
    if (large || files.length === 0) return;
    try {
      const texts = await Promise.all(files.map((file) => file.text()));
      onChange(joined([value, ...texts]));
    } catch {
      setRefused(t('input.unreadable'));
    }
  };

  return (
    <div
      className={classes.drop}
      data-over={over || undefined}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes('Files')) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        if (event.dataTransfer.files.length === 0) return;
        event.preventDefault();
        if (!disabled) void take([...event.dataTransfer.files]);
      }}
    >
      {big ? (
        <Input.Wrapper label={label} description={description} error={error} labelElement="div">
          <Group className={classes.big} justify="space-between" mt={4}>
            <Text size="sm">{t('input.big', { lines: format.number(lines), size: format.number(value.length / 1e6, 1) })}</Text>
            <Button size="xs" variant="default" leftSection={<IconX size={14} />} onClick={() => onChange('')} disabled={disabled}>
              {t('input.clear')}
            </Button>
          </Group>
        </Input.Wrapper>
      ) : (
        <Textarea
          className={classes.area}
          label={label}
          description={description}
          placeholder={placeholder}
          value={value}
          error={error}
          disabled={disabled}
          rows={rows}
          wrap="off"
          autoComplete="off"
          autoCorrect="off"
          autoCapitalize="off"
          spellCheck={false}
          data-autofocus={autoFocus || undefined}
          data-1p-ignore
          data-lpignore="true"
          onChange={(event) => onChange(event.currentTarget.value)}
          onPaste={(event) => {
            const pasted = event.clipboardData.getData('text');
            if (value.length + pasted.length <= DRAWN) return;
            event.preventDefault();
            // It goes where it was pasted, in place of what was selected.
            const { selectionStart, selectionEnd } = event.currentTarget;
            onChange(value.slice(0, selectionStart) + pasted + value.slice(selectionEnd));
          }}
        />
      )}
      <Group gap="xs" mt={6} justify="space-between">
        <FileButton multiple accept=".json,.jsonl,.txt,.csv,application/json,text/plain" resetRef={reset} onChange={(files) => (void take(files), reset.current?.())} disabled={disabled}>
          {(props) => (
            <Button {...props} size="compact-xs" variant="subtle" leftSection={<IconFileUpload size={14} />}>
              {t('input.file')}
            </Button>
          )}
        </FileButton>
        <Text size="xs" c={refused ? 'red' : 'dimmed'} role="status">
          {refused || (lines > 1 && !big ? t('input.lines', { count: lines }) : '')}
        </Text>
      </Group>
    </div>
  );
}

function countLines(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) if (at < text.length - 1) lines += 1;
  return lines;
}
