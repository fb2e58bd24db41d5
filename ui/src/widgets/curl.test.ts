import { expect, it } from 'vitest';

import { curlLine, keyShown } from './curl';

it('is safe to paste whatever the model is called', () => {
  expect(curlLine('http://h', "it's", 'pp-1')).toBe(
    `curl http://h/v1/chat/completions \\\n  -H 'authorization: Bearer pp-1' \\\n  -H 'content-type: application/json' \\\n  -d '{"model":"it'\\''s","messages":[{"role":"user","content":"hello"}]}'`,
  );
  expect(curlLine('http://h', 'echo', undefined)).not.toContain('authorization');
});

it('says where a key belongs wherever one is needed', () => {
  expect([keyShown('pp-1', true), keyShown('pp-1', false), keyShown(undefined, true), keyShown(undefined, false)]).toEqual(['pp-1', 'pp-1', undefined, 'YOUR_KEY']);
});
