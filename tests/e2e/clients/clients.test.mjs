// The command-line clients on every provider protocol, with the model names that they choose themselves.
//
// The fake provider calls a tool when the last words of the user ask for it (`call TOOL with {json}`) and answers with text when
// the result is there. The tool leaves a file behind, which proves that the call reached the client unharmed. What the provider
// got is counted: a request too many would be a retry, or the repetition without streaming.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { KEY, METRICS_KEY, PROVIDERS, start } from "./gateway.mjs";

/** One gateway for each provider: every model name leads there. */
const gateways = {};

before(async () => {
  for (const provider of PROVIDERS) {
    // These programs send members that are newer than the published schemas; on the way to a provider of their own protocol they
    // stay as they are.
    gateways[provider] = await start({ providers: [provider], lenient: true, models: [`  "*": "${provider}/*"`] });
  }
});
after(() => Promise.all(Object.values(gateways).map((gateway) => gateway.stop())));

const PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+patched\n*** End Patch";
const TOUCH = '{"command":"touch tool-ran","description":"Leave a file"}';
/** A stream that breaks off, and one that never goes on. */
// Events apart from one another: what breaks off before the gateway has handed any of it on, it asks for again itself.
const CUT = { text: "These many words are on their way when the connection breaks off, and so nobody reads them to their end", stream: true, cut_after_events: 9, cut: "reset", between_ms: 20 };
const HANG = { ...CUT, cut: "hang" };
/** An error names a passing trouble of the provider, and no login. */
const TROUBLE = /provider|upstream|connection/i;
const LOGIN = /log ?in|sign ?in|authenticat|api key|unauthori/i;

/** Waits for what other processes do; gives up after a minute. */
async function until(what, reached) {
  for (let attempt = 0; !(await reached()); attempt++) {
    assert.ok(attempt < 1200, `${what}: does not happen`);
    await sleep(50);
  }
}

/** One client at one gateway: a fresh home and working folder, and what the provider gets from now on. */
class Place {
  constructor(provider, name) {
    this.gateway = gateways[provider];
    this.fake = `http://${this.gateway.addresses[provider]}/fake`;
    this.home = join(this.gateway.folder, `${name}-home`);
    this.work = join(this.gateway.folder, `${name}-work`);
    mkdirSync(this.home, { recursive: true });
    mkdirSync(this.work, { recursive: true });
  }

  static async open(provider, name, always = null) {
    const place = new Place(provider, name);
    await fetch(`${place.fake}/script`, { method: "POST", body: JSON.stringify({ always }) });
    place.earlier = (await place.all()).length;
    place.counted = await place.counts();
    place.logged = place.gateway.log().length;
    return place;
  }

  async all() {
    return (await fetch(`${this.fake}/requests`)).json();
  }

  /** The requests that the provider got from this client. */
  async requests() {
    return (await this.all()).slice(this.earlier);
  }

  /** For each request whether it asks for a stream. */
  async streams() {
    return (await this.requests()).map(({ path, body }) => body.stream === true || path.includes(":streamGenerateContent"));
  }

  /** What the gateway has answered so far, by labels. */
  async counts() {
    const answer = await fetch(this.gateway.url + "/metrics", { headers: { authorization: `Bearer ${METRICS_KEY}` } });
    const found = (await answer.text()).matchAll(/^polyport_http_requests_total\{(.*)\} (\d+)/gm);
    return Object.fromEntries([...found].map(([, labels, count]) => [labels, Number(count)]));
  }

  /** The gateway answered `number` requests of this client with all these labels; it counts a stream when that is over. */
  async answered(number, ...words) {
    let sum;
    await until(`${words} for ${number} requests`, async () => {
      sum = Object.entries(await this.counts())
        .filter(([labels]) => words.every((word) => labels.includes(word)))
        .reduce((sum, [labels, count]) => sum + count - (this.counted[labels] ?? 0), 0);
      return sum >= number;
    });
    assert.equal(sum, number, `${words}`);
  }

  ran() {
    return existsSync(join(this.work, "tool-ran"));
  }

  /** Starts a client of this folder's packages; `ended` tells how it ended. It leads a process group of its own. */
  spawn(program, args, env) {
    const child = spawn(join(import.meta.dirname, "node_modules/.bin", program), args, {
      cwd: this.work,
      env: { PATH: process.env.PATH, HOME: this.home, TERM: "xterm-256color", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    child.end = () => process.kill(-child.pid, "SIGKILL");
    const timer = setTimeout(child.end, 120_000);
    child.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        clearTimeout(timer);
        resolve({ code, stdout, stderr, text: stdout + stderr });
      });
    });
    return child;
  }

  claude(prompt, env = {}) {
    return this.spawn("claude", ["-p", prompt, "--output-format", "json", "--allowedTools", "Bash(touch:*)"], {
      ANTHROPIC_BASE_URL: this.gateway.url,
      ANTHROPIC_AUTH_TOKEN: KEY,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      ...env,
    });
  }

  /** With its built-in provider, or with one from its configuration that does not try again. */
  codex(prompt, { model = "gpt-5.5", builtin = false } = {}) {
    const own = [
      'model_provider = "polyport"',
      "[model_providers.polyport]",
      'name = "polyport"',
      `base_url = "${this.gateway.url}/v1"`,
      'wire_api = "responses"',
      'env_key = "POLYPORT_KEY"',
      "request_max_retries = 0",
      "stream_max_retries = 0",
    ];
    const config = [`model = "${model}"`, ...(builtin ? [`openai_base_url = "${this.gateway.url}/v1"`] : own), ""];
    writeFileSync(join(this.home, "config.toml"), config.join("\n"));
    const args = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json", prompt];
    return this.spawn("codex", args, { CODEX_HOME: this.home, CODEX_API_KEY: KEY, POLYPORT_KEY: KEY });
  }

  gemini(prompt, { model, attempts = 3 } = {}) {
    mkdirSync(join(this.home, ".gemini"));
    writeFileSync(
      join(this.home, ".gemini/settings.json"),
      JSON.stringify({
        general: { maxAttempts: attempts },
        security: { auth: { selectedType: "gemini-api-key" } },
        privacy: { usageStatisticsEnabled: false },
      }),
    );
    return this.spawn("gemini", ["--yolo", ...(model ? ["-m", model] : []), "-p", prompt, "--output-format", "json"], {
      GEMINI_API_KEY: KEY,
      GEMINI_CLI_TRUST_WORKSPACE: "true",
      GOOGLE_GEMINI_BASE_URL: this.gateway.url,
    });
  }

  /** A provider of another protocol than the client's gets nothing that it does not know. */
  async noViolations(but = /^$/) {
    const found = (await this.requests()).flatMap(({ violations }) => violations).filter((text) => !but.test(text));
    assert.deepEqual(found, []);
  }
}

const events = (stdout) => stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
const result = (stdout) => JSON.parse(stdout.slice(stdout.indexOf("{")));

for (const provider of PROVIDERS) {
  test(`Claude Code on a ${provider} provider`, async () => {
    const place = await Place.open(provider, "claude");
    const ended = await place.claude(`call Bash with ${TOUCH}`).ended;
    assert.equal(ended.code, 0, ended.text);
    const said = JSON.parse(ended.stdout);
    assert.equal(said.is_error, false, ended.text);
    assert.equal(said.num_turns, 2);
    assert.ok(said.result);
    assert.ok(said.usage.input_tokens > 0);
    assert.equal(ended.stderr, "");
    assert.ok(place.ran(), "the tool did not run");
    assert.deepEqual(await place.streams(), [true, true]);
    await place.answered(2, 'protocol="messages"');
    if (provider !== "messages") await place.noViolations();
  });

  for (const [tool, model, prompt, check] of [
    ["a shell command", "gpt-5.5", 'call exec_command with {"cmd":"touch tool-ran"}', (place) => place.ran()],
    [
      "apply_patch",
      "gpt-5.5",
      // A provider without free-form tools is offered a function with one string.
      `call apply_patch with ${provider === "responses" ? PATCH : JSON.stringify({ input: PATCH })}`,
      (place) => readFileSync(join(place.work, "patched.txt"), "utf8") === "patched\n",
    ],
    [
      "code of additional tools",
      "gpt-5.6-sol",
      provider === "responses"
        ? 'call exec with await tools.exec_command({"cmd":"touch tool-ran"})'
        : `call functions__exec with ${JSON.stringify({ input: 'await tools.exec_command({"cmd":"touch tool-ran"})' })}`,
      (place) => place.ran(),
    ],
  ]) {
    // The built-in provider tries a WebSocket first, once.
    const builtin = tool !== "apply_patch";
    test(`Codex on a ${provider} provider: ${tool}`, async () => {
      const place = await Place.open(provider, `codex-${tool.replaceAll(" ", "-")}`);
      const ended = await place.codex(prompt, { model, builtin }).ended;
      assert.equal(ended.code, 0, ended.text);
      const told = events(ended.stdout);
      assert.ok(told.some((event) => event.item?.type === "agent_message"), ended.text);
      assert.ok(told.some((event) => event.type === "turn.completed"), ended.text);
      assert.ok(!told.some((event) => event.type === "error" || event.item?.type === "error"), ended.text);
      assert.ok(!/reconnecting|retry/i.test(ended.text), ended.text);
      assert.ok(check(place), `the tool did not run: ${ended.text}`);
      assert.deepEqual(await place.streams(), [true, true]);
      await place.answered(2, 'protocol="responses"', 'status="200"');
      const probes = place.gateway.log().slice(place.logged).match(/path=\/v1\/responses status=426/g) ?? [];
      assert.equal(probes.length, builtin ? 1 : 0);
      if (provider !== "responses") await place.noViolations();
    });
  }

  test(`gemini-cli on a ${provider} provider`, async () => {
    const place = await Place.open(provider, "gemini");
    const ended = await place.gemini(`call run_shell_command with ${TOUCH}`).ended;
    assert.equal(ended.code, 0, ended.text);
    const { response, stats } = result(ended.stdout);
    assert.ok(response, ended.text);
    assert.equal(stats.tools.totalSuccess, 1, ended.text);
    for (const model of Object.values(stats.models)) assert.equal(model.api.totalErrors, 0, ended.text);
    assert.ok(place.ran(), "the tool did not run");
    // A small model chooses the one that answers; its choice is a JSON object and no stream.
    assert.deepEqual(await place.streams(), [false, true, true]);
    const routers = Object.values(stats.models).map((model) => model.roles.utility_router?.totalRequests ?? 0);
    assert.deepEqual(routers.sort(), [0, 1], ended.text);
    await place.answered(3, 'protocol="gemini"');
    // What Google's OpenAI-compatible endpoint takes for its own models.
    if (provider !== "gemini") await place.noViolations(/extra_content/);
  });

  test(`a ${provider} provider breaks off: Claude Code`, async () => {
    // It asks again without streaming, and the answer is there.
    const again = await Place.open(provider, "claude-again", { ...CUT, stream: undefined });
    const good = await again.claude("hi").ended;
    assert.equal(JSON.parse(good.stdout).result, CUT.text, good.text);
    assert.deepEqual(await again.streams(), [true, false]);
    const place = await Place.open(provider, "claude-cut", CUT);
    const ended = await place.claude("hi", { CLAUDE_CODE_MAX_RETRIES: "0", CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK: "1" }).ended;
    const said = JSON.parse(ended.stdout);
    assert.equal(said.is_error, true, ended.text);
    assert.match(said.result, TROUBLE);
    assert.doesNotMatch(said.result, LOGIN);
  });

  test(`a ${provider} provider breaks off: Codex`, async () => {
    const place = await Place.open(provider, "codex-cut", CUT);
    const ended = await place.codex("hi").ended;
    assert.equal(ended.code, 1, ended.text);
    const failed = events(ended.stdout).find((event) => event.type === "turn.failed");
    assert.match(failed.error.message, TROUBLE);
    assert.doesNotMatch(failed.error.message, LOGIN);
    assert.equal((await place.streams()).length, 1);
  });
}

for (const provider of ["gemini", "chat"]) {
  test(`a ${provider} provider breaks off: gemini-cli`, async () => {
    const place = await Place.open(provider, "gemini-cut", CUT);
    const { stdout, text } = await place.gemini("hi", { model: "gemini-3.8-flash", attempts: 1 }).ended;
    const { error } = result(stdout);
    assert.ok(error.type && error.message, text);
    assert.doesNotMatch(error.message, LOGIN);
  });
}

for (const [provider, name, begin] of [
  ["chat", "Claude Code", (place) => place.claude("hi")],
  ["messages", "Codex", (place) => place.codex("hi")],
  ["responses", "gemini-cli", (place) => place.gemini("hi", { model: "gemini-3.8-flash" })],
]) {
  test(`${name} is ended while a ${provider} provider answers`, async () => {
    const place = await Place.open(provider, `${name.replaceAll(" ", "-")}-ended`, HANG);
    const child = begin(place);
    await until("a request", async () => (await place.requests()).length > 0);
    assert.deepEqual((await place.requests()).map(({ outcome }) => outcome), ["open"]);
    child.end();
    await child.ended;
    await until("the end of the request", async () => (await place.requests()).every(({ outcome }) => outcome === "left"));
  });
}
