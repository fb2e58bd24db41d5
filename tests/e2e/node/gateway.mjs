// One fake provider per protocol and one gateway in front of them; see ../python/conftest.py for the model names.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export const PROVIDERS = ["chat", "responses", "messages", "gemini"];
const STATUSES = [400, 401, 404, 429, 500, 503];
export const KEY = "pp-e2e-0123456789abcdef";
/** Opens the figures, which keys of clients do not. */
export const METRICS_KEY = "mk-0123456789abcdef0123456789";
export const TINY_PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const ASK = 'call get_weather with {"city":"Oslo"}';

const freePort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

const firstLine = async (stream) => {
  for await (const line of createInterface({ input: stream })) return line;
  throw new Error("the fake provider printed nothing");
};

/** Starts everything; `providers` maps names to fake-provider protocols, `models` adds lines to the models section and `more` to that of the providers. */
export async function start({ providers = PROVIDERS, models = [], more = "", open = false, lenient = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "polyport-e2e-"));
  const children = [];
  const stop = async () => {
    const ended = children.map((child) => new Promise((resolve) => (child.exitCode === null ? child.once("exit", resolve) : resolve())));
    for (const child of children) child.kill();
    await Promise.all(ended);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const lines = [];
    const routes = [];
    const addresses = {};
    for (const protocol of providers) {
      const fake = spawn(process.env.POLYPORT_FAKE, ["--protocol", protocol, "--port", "0", ...(lenient ? ["--lenient"] : [])], { stdio: ["ignore", "pipe", "inherit"] });
      children.push(fake);
      const { address } = JSON.parse(await firstLine(fake.stdout));
      addresses[protocol] = address;
      const path = protocol === "chat" || protocol === "responses" ? "/v1" : "";
      // A failure may rest its credential: each status has a provider entry, and so a credential, of its own.
      for (const name of [protocol, ...STATUSES.map((status) => `${protocol}-fail-${status}`)]) {
        lines.push(`  ${name}: { protocol: ${protocol}, base_url: "http://${address}${path}", keys: ["provider-key-${name}-123"] }`);
        routes.push(name === protocol ? `  "${name}-*": "${name}/*"` : `  ${name}: ${name}/${name}`);
      }
    }
    const port = await freePort();
    const config = join(folder, "polyport.yaml");
    writeFileSync(
      config,
      [
        `server: { host: 127.0.0.1, port: ${port} }`,
        open ? "access: { open: true }" : `access: { keys: [{ name: e2e, key: "${KEY}" }] }`,
        `metrics: { keys: ["${METRICS_KEY}"] }`,
        "providers:",
        ...lines,
        more,
        "models:",
        ...routes,
        ...models,
        "",
      ].join("\n"),
    );
    const server = spawn(process.env.POLYPORT_BIN, ["serve", "--config", config, "--data", folder], {
      cwd: folder,
      env: { PATH: process.env.PATH },
      stdio: ["ignore", "ignore", "pipe"],
    });
    children.push(server);
    let log = "";
    server.stderr.on("data", (data) => (log += data));
    const url = `http://127.0.0.1:${port}`;
    for (let attempt = 0; ; attempt++) {
      try {
        if ((await fetch(url + "/healthz")).ok) break;
      } catch {
        // not listening yet
      }
      if (server.exitCode !== null || attempt > 1000) throw new Error(`the gateway does not answer: ${log}`);
      await sleep(20);
    }
    return { url, folder, addresses, stop, log: () => log };
  } catch (error) {
    await stop();
    throw error;
  }
}
