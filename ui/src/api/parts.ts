import { Problem } from './problem';

/** Whether the gateway answers at all. */
export async function answers(): Promise<boolean> {
  return fetch('/admin/', { method: 'HEAD', cache: 'no-store' }).then(({ ok }) => ok, () => false);
}

/**
 * Loads a part of the page. If the gateway does not answer that is what is said; if it does, and has no such part, it has another build of the page, and the
 * error stays what it is: the router then loads the page anew.
 */
export async function part<T>(load: () => Promise<T>): Promise<T> {
  return load().catch(async (error: unknown) => {
    throw (await answers()) ? error : Problem.offline(error);
  });
}

/** The same for what belongs to a screen that is open, with what was typed in it: it is waited for, until the gateway answers. */
export async function patiently<T>(load: () => Promise<T>, pause = 2_000): Promise<T> {
  for (;;) {
    try {
      return await part(load);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
