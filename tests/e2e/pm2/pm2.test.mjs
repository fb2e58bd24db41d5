// The shipped recipe for PM2: started, seen, read, reloaded, stopped, one after the other.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const recipe = resolve('ecosystem.config.cjs');
const program = resolve('node_modules/.bin/pm2');

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

test('s0-36: start, status, logs, reload and stop work', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'polyport-pm2-'));
  const port = await freePort();
  await writeFile(join(folder, 'polyport.yaml'), `discover: false\nserver: { port: ${port} }\n`);
  const env = { PATH: process.env.PATH, HOME: folder, PM2_HOME: join(folder, 'pm2'), POLYPORT_BIN: process.env.POLYPORT_BIN };
  const pm2 = async (...args) => (await run(program, [...args, '--no-color'], { cwd: folder, env })).stdout;
  const health = () => run(env.POLYPORT_BIN, ['health'], { cwd: folder, env });
  const answers = async () => {
    for (let left = 100; ; left -= 1) {
      try {
        return (await health()).stdout;
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((done) => setTimeout(done, 100));
      }
    }
  };
  const state = async () => JSON.parse(await pm2('jlist', '--silent')).find((app) => app.name === 'polyport');
  try {
    await pm2('start', recipe);
    assert.equal(await answers(), 'ready\n');
    assert.match(await pm2('status'), /polyport.*online/);
    const first = await state();
    assert.match(await pm2('logs', 'polyport', '--nostream', '--lines', '20'), new RegExp(`listening address=127.0.0.1:${port}`));
    await pm2('reload', 'polyport');
    assert.equal(await answers(), 'ready\n');
    assert.notEqual((await state()).pid, first.pid);
    await pm2('stop', 'polyport');
    assert.match(await pm2('status'), /polyport.*stopped/);
    await assert.rejects(health());
  } finally {
    await pm2('kill');
    await rm(folder, { recursive: true, force: true });
  }
});
