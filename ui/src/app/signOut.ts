import { useNavigate } from '@tanstack/react-router';

import { useAct } from '../widgets/act';
import { mayLeave } from '../widgets/unsaved';
import { forget, signOut } from './session';

/** The ways out of the page: what was typed is asked for first, and the screen stays until one is out. */
export function useSignOut() {
  const navigate = useNavigate();
  const onDone = (left: boolean) => void (left && navigate({ to: '/sign-in', ignoreBlocker: true }));
  const { run, isPending } = useAct(async () => (await mayLeave()) && (await signOut(), true), { onDone });
  return {
    signOut: () => run(),
    isPending,
    /** For a session that has ended already. */
    leave: async () => {
      if (!(await mayLeave())) return;
      forget();
      onDone(true);
    },
  };
}
