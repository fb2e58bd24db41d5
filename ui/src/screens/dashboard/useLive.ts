import { useEffect, useState } from 'react';

import type { Problem } from '../../api/problem';
import { follow, type LiveState } from '../../api/stream';
import { after, type Live, NOTHING } from './live';

/** What happens now, as long as somebody looks. */
export function useLive(): { live: Live; state: LiveState; problem?: Problem } {
  const [live, setLive] = useState<Live>(NOTHING);
  const [state, setState] = useState<{ state: LiveState; problem?: Problem }>({ state: 'connecting' });
  useEffect(() => {
    const ending = new AbortController();
    void follow(
      '/admin/api/overview/live',
      ending.signal,
      (event) => setLive((before) => after(before, event)),
      // Coming back after a loss is no news until it worked.
      (next, problem) => setState((before) => (next === 'connecting' && before.state === 'lost' ? before : { state: next, problem })),
    );
    return () => ending.abort();
  }, []);
  return { live, ...state };
}
