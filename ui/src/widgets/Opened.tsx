import { Drawer } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { getJson } from '../api/list';
import type { Problem } from '../api/problem';
import { useRefresh } from '../api/query';
import { ProblemAlert } from './ProblemAlert';
import { useFocusBack } from './useFocusBack';

/** What an editor of entries is given. */
export interface EditorProps<Row> {
  /** The entry as it was when the editor was opened; nothing where one is made. */
  of?: Row;
  /** Somebody else deleted it meanwhile. */
  gone?: boolean;
  onClose: () => void;
  onDone: (row: Row) => void;
  /** Shows what is there now, in place of what was typed. */
  onTake: () => void;
}

interface Props<Row> {
  path: string;
  /** What the list has loaded of them. */
  rows: Row[];
  isPending: boolean;
  /** What the address says is open, and whether one is made. */
  search: { id: string; new: string };
  setSearch: (next: { id?: string; new?: string }) => void;
  look: (of: Row, onEdit: () => void, onClose: () => void) => ReactNode;
  edit: (props: EditorProps<Row>) => ReactNode;
  /** One was made; otherwise it is opened. */
  onMade?: (row: Row) => void;
}

/** The entry of a list that the address names, wherever in the list it is: looked at, changed, or made. */
export function Opened<Row extends { id: string }>({ path, rows, isPending, search, setSearch, look, edit, onMade }: Props<Row>) {
  const { t } = useTranslation();
  const refresh = useRefresh();
  const { id } = search;
  // Held as it was: what is compared with what others did is what the reader saw, and what was typed does not go with an entry that is gone.
  const [held, setHeld] = useState<Row | null>(null);
  const row = rows.find((one) => one.id === id);
  const one = useQuery<Row, Problem>({
    queryKey: ['get', path, 'one', id],
    queryFn: ({ signal }) => getJson<Row>(`${path}/${encodeURIComponent(id)}`, {}, signal),
    enabled: id !== '' && !row && !isPending,
  });
  const gone = !row && one.error?.status === 404;
  const entry = row ?? (gone ? undefined : one.data);
  const editing = held?.id === id ? held : null;
  const open = id !== '' || search.new !== '';
  useFocusBack(open);
  const close = () => setSearch({ id: '' });
  const stop = () => setHeld(null);
  return (
    <>
      {editing && edit({ of: editing, gone, onClose: stop, onDone: stop, onTake: () => (stop(), void refresh(path)) })}
      {entry && !editing && look(entry, () => setHeld(entry), close)}
      {id !== '' && !entry && !editing && one.error && (
        <Drawer opened onClose={close} title={t('notFound.entry')} closeButtonProps={{ 'aria-label': t('close') }}>
          <ProblemAlert problem={one.error} onRetry={() => void one.refetch()} />
        </Drawer>
      )}
      {search.new && edit({ onClose: () => setSearch({ new: '' }), onDone: (made) => (setSearch({ new: '', id: onMade ? '' : made.id }), onMade?.(made)), onTake: () => undefined })}
    </>
  );
}
