// The command-line clients as `polyport launch` starts them: in a home folder where nothing is set up, and in one whose settings lead
// elsewhere.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";

import { start } from "./gateway.mjs";

let gateway;
before(async () => {
  gateway = await start({ providers: ["chat"], lenient: true, models: ['  "*": "chat/*"'] });
});
after(() => gateway.stop());

const TOUCH = '{"command":"touch tool-ran","description":"Leave a file"}';

/** Runs a command of Polyport at this gateway. */
function polyport(place, args) {
  return spawnSync(process.env.POLYPORT_BIN, ["--config", join(gateway.folder, "polyport.yaml"), "--data", gateway.folder, ...args], {
    cwd: place.work,
    env: {
      PATH: [join(import.meta.dirname, "node_modules/.bin"), process.env.PATH].join(delimiter),
      HOME: place.home,
      TERM: "xterm-256color",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      GEMINI_CLI_TRUST_WORKSPACE: "true",
    },
    encoding: "utf8",
    timeout: 120_000,
  });
}

/** Starts a client in a home folder with these files, and lets it call a tool. */
async function launch(name, client, args, files = {}) {
  const place = { home: join(gateway.folder, `${name}-home`), work: join(gateway.folder, `${name}-work`) };
  for (const folder of Object.values(place)) mkdirSync(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(place.home, path)), { recursive: true });
    writeFileSync(join(place.home, path), text);
  }
  const asked = async () => (await fetch(`http://${gateway.addresses.chat}/fake/requests`)).json();
  const earlier = (await asked()).length;
  const ended = polyport(place, ["launch", client, ...args]);
  const text = `${ended.stdout}${ended.stderr}`;
  assert.equal(ended.status, 0, text);
  assert.ok(existsSync(join(place.work, "tool-ran")), `the tool did not run: ${text}`);
  assert.ok((await asked()).length >= earlier + 2, text);
  for (const [path, before] of Object.entries(files)) assert.equal(readFileSync(join(place.home, path), "utf8"), before);
  const { keys } = JSON.parse(polyport(place, ["keys", "--json"]).stdout);
  assert.deepEqual(keys, [], "the key is gone");
  return { place, ...ended };
}

const CLAUDE = ["--", "-p", `call Bash with ${TOUCH}`, "--output-format", "json", "--allowedTools", "Bash(touch:*)"];
const CODEX = ["--", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", 'call exec_command with {"cmd":"touch tool-ran"}'];
const GEMINI = ["--", "--yolo", "-p", `call run_shell_command with ${TOUCH}`, "--output-format", "json"];

test("Claude Code on a bare machine", async () => {
  const { stdout, stderr } = await launch("claude", "claude", CLAUDE);
  const said = JSON.parse(stdout);
  assert.deepEqual([said.is_error, said.num_turns], [false, 2]);
  assert.equal(stderr, "");
});

test("Claude Code whose settings lead elsewhere, with a model of ours", async () => {
  const settings = JSON.stringify({ env: { ANTHROPIC_BASE_URL: "http://127.0.0.1:9", ANTHROPIC_AUTH_TOKEN: "another" } });
  const { stdout } = await launch("claude-elsewhere", "claude", ["--model", "my-own-model", ...CLAUDE], { ".claude/settings.json": settings });
  assert.deepEqual(Object.keys(JSON.parse(stdout).modelUsage), ["my-own-model"]);
});

test("Codex on a bare machine", async () => {
  const { place } = await launch("codex", "codex", ["--model", "gpt-5.5", ...CODEX]);
  assert.ok(!existsSync(join(place.home, ".codex/config.toml")));
});

test("Codex whose settings lead elsewhere", async () => {
  const config = ['model = "other"', 'model_provider = "other"', "[model_providers.other]", 'name = "other"', 'base_url = "http://127.0.0.1:9/v1"', ""];
  await launch("codex-elsewhere", "codex", ["--model", "gpt-5.5", ...CODEX], { ".codex/config.toml": config.join("\n") });
});

test("Gemini CLI on a bare machine", async () => {
  const { place } = await launch("gemini", "gemini", GEMINI);
  assert.ok(!existsSync(join(place.home, ".gemini/settings.json")));
  assert.ok(existsSync(join(place.home, ".gemini/tmp")), "what it keeps of its sessions is kept");
});

test("Gemini CLI whose user signs in at Google", async () => {
  const settings = JSON.stringify({ ui: { theme: "Default" }, security: { auth: { selectedType: "oauth-personal" } } });
  await launch("gemini-elsewhere", "gemini", ["--model", "gemini-3.8-flash", ...GEMINI], { ".gemini/settings.json": settings });
});

test("Claude Code, Codex and Gemini CLI with what `connect --write` leaves them", async () => {
  const place = { home: join(gateway.folder, "connected-home"), work: join(gateway.folder, "connected-work") };
  for (const folder of Object.values(place)) mkdirSync(folder);
  for (const [client, args] of [["claude", CLAUDE], ["codex", CODEX], ["gemini", GEMINI]]) {
    const written = polyport(place, ["connect", client, "--write", "--json", ...(client === "codex" ? ["--model", "gpt-5.5"] : [])]);
    assert.equal(written.status, 0, written.stderr);
    const ended = spawnSync(join(import.meta.dirname, "node_modules/.bin", client), args.slice(1), {
      cwd: place.work,
      env: { PATH: process.env.PATH, HOME: place.home, TERM: "xterm-256color", GEMINI_CLI_TRUST_WORKSPACE: "true", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
      encoding: "utf8",
      timeout: 120_000,
    });
    assert.equal(ended.status, 0, `${client}: ${ended.stdout}${ended.stderr}`);
    const undone = polyport(place, ["connect", client, "--undo"]);
    assert.equal(undone.status, 0, undone.stderr);
  }
});
