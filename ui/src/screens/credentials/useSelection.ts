import type { RowSelectionState } from '@tanstack/react-table';
import { useCallback, useEffect, useRef, useState } from 'react';

import { getJson } from '../../api/list';
import { useTell } from '../../widgets/act';
import type { Filter } from './Filters';
import type { Credential } from './quota';

/** Rows that are picked, also more than have been fetched. */
export function useSelection(filter: Filter, rows: Credential[]) {
  const tell = useTell();
  const [selection, setSelection] = useState<RowSelectionState>({});
  const [picking, setPicking] = useState(false);
  /** Names of those that were picked without being shown. */
  const labels = useRef(new Map<string, string>());

  const running = useRef<AbortController | undefined>(undefined);
  // What was picked, or is being picked, belongs to the filter that it was picked under, however that one changes.
  const asked = JSON.stringify(filter);
  useEffect(
    () => () => {
      running.current?.abort();
      setSelection({});
    },
    [asked],
  );

  const pickAll = useCallback(async () => {
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    setPicking(true);
    try {
      const all: RowSelectionState = {};
      let after: string | null = null;
      do {
        const page: { credentials: Credential[]; next: string | null } = await getJson('/admin/api/credentials', { limit: 500, ...filter, after }, stop.signal);
        for (const one of page.credentials) {
          all[one.id] = true;
          labels.current.set(one.id, one.label);
        }
        after = page.next;
      } while (after !== null);
      if (!stop.signal.aborted) setSelection(all);
    } catch (error) {
      if (!stop.signal.aborted) tell.problem(error);
    } finally {
      if (running.current === stop) setPicking(false);
    }
  }, [filter, tell]);

  const ids = Object.keys(selection).filter((id) => selection[id]);
  return {
    selection,
    setSelection,
    picking,
    pickAll,
    count: ids.length,
    targets: () => {
      const shown = new Map(rows.map((row) => [row.id, row.label]));
      return ids.map((id) => ({ id, label: shown.get(id) ?? labels.current.get(id) ?? id }));
    },
    drop: (gone: string[]) =>
      setSelection((now) => {
        const next = { ...now };
        for (const id of gone) delete next[id];
        return next;
      }),
    clear: () => {
      running.current?.abort();
      setSelection({});
    },
  };
}
