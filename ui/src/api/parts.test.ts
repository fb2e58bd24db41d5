import { afterEach, describe, expect, it, vi } from 'vitest';

import { part, patiently } from './parts';

const gateway = (answer: () => Promise<Response>) => vi.stubGlobal('fetch', answer);
const missing = new TypeError('Failed to fetch dynamically imported module');

describe('parts of the page', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('that are not there say that the gateway does not answer, or that they are of another build', async () => {
    gateway(() => Promise.reject(new TypeError('failed')));
    await expect(part(() => Promise.reject(missing))).rejects.toMatchObject({ code: 'offline' });
    gateway(() => Promise.resolve(new Response('', { status: 502 })));
    await expect(part(() => Promise.reject(missing))).rejects.toMatchObject({ code: 'offline' });
    gateway(() => Promise.resolve(new Response('')));
    await expect(part(() => Promise.reject(missing))).rejects.toBe(missing);
  });

  it('of an open screen are waited for', async () => {
    gateway(() => Promise.reject(new TypeError('failed')));
    let asked = 0;
    await expect(patiently(() => ((asked += 1) < 3 ? Promise.reject(missing) : Promise.resolve('there')), 1)).resolves.toBe('there');
  });
});
