import { ask } from '../api/list';
import { Problem } from '../api/problem';
import { download } from './csv';

/** Fetches a file from the admin API and hands it to the reader, under the name that the gateway gives it or `name`. */
export async function fetchFile(path: string, name: string, method = 'GET'): Promise<void> {
  const response = await ask(path, { method });
  // It may break off on the way.
  const blob = await response.blob().catch((error: unknown) => {
    throw Problem.offline(error);
  });
  download(/filename="?([^";]+)"?/.exec(response.headers.get('content-disposition') ?? '')?.[1] ?? name, blob);
}
