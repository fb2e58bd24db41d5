// The fake providers, and the real gateway in front of them with an empty data folder.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { startFakes } from "./fakes.mjs";

/** The folder of the whole project. */
export const ROOT = (() => {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "Cargo.lock"))) {
    if (dirname(folder) === folder) throw new Error("this does not lie in the project");
    folder = dirname(folder);
  }
  return folder;
})();

/** The first admin, whom the first scenario makes in the browser and every other one finds. */
export const ADMIN = { name: "ada", password: "correct horse battery" };

/** `file-chat`, `file-responses`, `file-messages` and `file-gemini` are declared in the file, with one key each, and have every model of the fakes. */
const configuration = (fakes) => `
discover: false
log: { level: info }
providers:
  file-chat: { protocol: chat, base_url: "${fakes.chat}", keys: ["sk-file-chat-0123456789"] }
  file-responses: { protocol: responses, base_url: "${fakes.responses}", keys: ["sk-file-responses-0123456789"] }
  file-messages: { protocol: messages, base_url: "${fakes.messages}", keys: ["sk-file-messages-0123456789"] }
  file-gemini: { protocol: gemini, base_url: "${fakes.gemini}", keys: ["sk-file-gemini-0123456789"] }
models:
  "chat-*": "file-chat/*"
  "responses-*": "file-responses/*"
  "messages-*": "file-messages/*"
  "gemini-*": "file-gemini/*"
accounting:
  prices:
    - { providers: [file-chat, file-responses, file-messages, file-gemini], currency: USD, prices: { input: 2, output: 10, cache_read: 0.5 } }
`;

const freePort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/** Starts everything; `binary` is the program, `port` where it listens (any free one), `configure` gives the file by the fakes and the port. */
export async function start({ binary = join(ROOT, "target/debug/polyport"), port, configure = configuration } = {}) {
  if (!existsSync(binary)) throw new Error(`${binary} is not there: cargo build --package polyport`);
  const folder = mkdtempSync(join(tmpdir(), "polyport-pages-"));
  const fakes = await startFakes();
  const config = join(folder, "polyport.yaml");
  const data = join(folder, "data");
  port ??= await freePort();
  writeFileSync(config, configure(fakes, port));
  const server = spawn(binary, ["serve", "--json", "--config", config, "--data", data, "--port", String(port)], {
    cwd: folder,
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, log] = ["", ""];
  server.stdout.on("data", (text) => (out += text));
  server.stderr.on("data", (text) => (log += text));
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const stop = async () => {
    server.kill();
    await ended;
    await fakes.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const until = Date.now() + 30_000;
  const socket = join(data, "polyport.sock");
  // The socket is there a moment after the line.
  while (!out.includes("\n") || !existsSync(socket)) {
    if (server.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`the gateway does not start: ${log}`);
    }
    await sleep(20);
  }
  const told = JSON.parse(out.slice(0, out.indexOf("\n")));
  return { url: `http://127.0.0.1:${port}`, binary, code: told.setup_code, folder, data, socket, fakes, stop, log: () => log };
}

/**
 * Asks the admin API. As the operator of this machine through the socket in the data folder; or, with `session`, as who is signed in. The answer is
 * `{ status, headers, body }`.
 */
export function ask(gateway, method, path, body, { session, headers = {} } = {}) {
  const target = path.startsWith("/") ? path : `/admin/api/${path}`;
  const { hostname, port } = new URL(gateway.url);
  const where = session ? { hostname, port } : { socketPath: gateway.socket };
  const own = session ? { cookie: session.cookie, "x-polyport-csrf": session.csrf } : {};
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const kind = text === undefined ? {} : { "content-type": typeof body === "string" ? "text/plain" : "application/json" };
    const sent = request({ ...where, method, path: target, agent: false, headers: { host: `${hostname}:${port}`, ...kind, ...own, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("error", reject);
      response.on("end", () => {
        let answer = text;
        if (response.headers["content-type"]?.includes("json") && text) answer = JSON.parse(text);
        resolve({ status: response.statusCode, headers: response.headers, body: answer });
      });
    });
    sent.on("error", reject);
    sent.end(text);
  });
}

/** Signs in over HTTP: the cookie of the session and its proof against foreign pages. */
export async function signIn(gateway, { name, password }) {
  const { status, headers, body } = await ask(gateway, "POST", "session", { name, password }, { session: { cookie: "", csrf: "" } });
  if (status !== 200) throw new Error(`${name} cannot sign in: ${status} ${JSON.stringify(body)}`);
  const [cookie] = headers["set-cookie"][0].split(";");
  return { cookie, csrf: body.csrf };
}
