import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Where a gateway runs while the page is developed: `POLYPORT_URL=http://127.0.0.1:7659 npm run dev`.
const gateway = process.env.POLYPORT_URL ?? 'http://127.0.0.1:7659';

// By itself every set of screens that share something gets a file of its own: a hundred for one screen, each of them a request. What most screens share is
// one file therefore, and so are the icons. With a lower count more comes along that the first screens do not show.
const groups = [
  { name: 'icons', test: /@tabler/, minShareCount: 2 },
  { name: 'shared', test: /[.]m?[jt]sx?$/, minShareCount: 14 },
];

export default defineConfig({
  base: '/admin/',
  plugins: [react()],
  // The gateway puts a fresh nonce in its place in every answer.
  html: { cspNonce: 'POLYPORT_NONCE' },
  build: {
    manifest: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 450,
    rolldownOptions: { output: { codeSplitting: { groups } } },
  },
  server: {
    host: '127.0.0.1',
    // The host stays as the browser named it: the gateway compares it with the origin.
    proxy: Object.fromEntries(
      ['/admin/api', '/v1', '/v1beta', '/docs', '/healthz', '/readyz'].map((path) => [path, { target: gateway, changeOrigin: false }]),
    ),
  },
  test: { environment: 'node', include: ['src/**/*.test.{ts,tsx}'] },
});
