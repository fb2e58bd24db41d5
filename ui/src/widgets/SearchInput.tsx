import { TextInput, type TextInputProps } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { type ChangeEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

/** Characters that the gateway looks for, at most; more would not fit into an address either. */
const LONGEST = 1000;

/**
 * A field whose text the address holds: it is looked for when the reader pauses or goes on to something else, and follows the address where that
 * changes by itself.
 */
export function useTypedText(value: string, onSearch: (text: string) => void) {
  // Only while it is being typed: otherwise the address alone says what the field holds.
  const [typed, setTyped] = useState<string | null>(null);
  /** On its way to the address, the oldest first. */
  const sent = useRef<string[]>([]);
  const search = useDebouncedCallback((text: string) => {
    sent.current.push(text);
    onSearch(text);
  }, 250);
  useEffect(() => {
    const at = sent.current.lastIndexOf(value);
    // What was sent has arrived: to take it over would take back what was typed since.
    sent.current = at < 0 ? [] : sent.current.slice(at + 1);
    if (at >= 0) return;
    search.cancel();
    setTyped(null);
  }, [value]);
  return {
    value: typed ?? value,
    maxLength: LONGEST,
    onChange: (text: string) => {
      setTyped(text);
      search(text);
    },
    onBlur: () => {
      // What still waited would be looked for after, and in spite of, what the reader does next: clears the filters, or leaves the screen.
      search.flush();
      setTyped(null);
    },
  };
}

/** The same for an `<input>`. */
export function useTyped(value: string, onSearch: (text: string) => void) {
  const { onChange, ...field } = useTypedText(value, onSearch);
  return { ...field, onChange: (event: ChangeEvent<HTMLInputElement>) => onChange(event.currentTarget.value) };
}

interface Props extends Omit<TextInputProps, 'value' | 'onChange' | 'onBlur' | 'label'> {
  value: string;
  onSearch: (text: string) => void;
  /** What it is called; nothing where "search" says enough. */
  label?: string;
}

/** A search that the address holds. */
export function SearchInput({ value, onSearch, label, ...props }: Props) {
  const { t } = useTranslation();
  const name = label ?? t('search');
  return <TextInput aria-label={name} placeholder={name} leftSection={<IconSearch size={16} />} {...props} {...useTyped(value, onSearch)} />;
}
