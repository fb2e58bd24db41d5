import { expect, it } from 'vitest';

import { type Client, shellLines, withKey } from './clients';

const client: Client = {
  name: 'x', title: 'X', install: [], unset: ['OTHER_KEY'], command: 'x --model gpt-5', files: [], needs_model: true, notes: [],
  variables: [
    { name: 'X_BASE_URL', value: 'http://127.0.0.1:7659/v1' },
    { name: 'X_KEY', value: 'YOUR_KEY' },
    { name: 'X_NAME', value: "it's a name" },
  ],
};

it('shells get what they can read, whatever stands in it', () => {
  expect(shellLines(client)).toBe(
    "unset OTHER_KEY\nexport X_BASE_URL=http://127.0.0.1:7659/v1\nexport X_KEY=YOUR_KEY\nexport X_NAME='it'\\''s a name'\nx --model gpt-5",
  );
});

it('a key stands where the placeholder stood', () => {
  expect(withKey(shellLines(client), 'pp-1')).toContain('export X_KEY=pp-1\n');
  expect(withKey('YOUR_KEY', undefined)).toBe('YOUR_KEY');
});
