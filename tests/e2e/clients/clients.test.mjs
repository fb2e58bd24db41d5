// The command-line clients on every provider protocol: one tool round trip each, without retries or warnings.
//
// The fake provider calls a tool when the last words of the user ask for it (`call TOOL with {json}`) and answers with text when
// the result is there. The tool leaves a file behind, which proves that the call reached the client unharmed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { KEY, PROVIDERS, start } from "./gateway.mjs";

let gateway;

before(async () => {
  gateway = await start({
    // These programs send members that are newer than the published schemas; on the way to a provider of their own protocol they
    // stay as they are.
    lenient: true,
    models: [
      // Names that the clients choose themselves or derive their tools from.
      ...PROVIDERS.map((name) => `  "gpt-5.5-${name}": "${name}/ok"`),
      ...PROVIDERS.map((name) => `  "gemini-9-${name}": "${name}/ok"`),
      '  "gemini-3*": "gemini/*"',
    ],
  });
});
after(() => gateway?.stop());

const PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+patched\n*** End Patch";

/** A fresh home and working folder. */
function place(name) {
  const home = join(gateway.folder, `${name}-home`);
  const work = join(gateway.folder, `${name}-work`);
  mkdirSync(home, { recursive: true });
  mkdirSync(work, { recursive: true });
  return { home, work };
}

/** Runs a client of this folder's packages to its end. */
function run(program, args, { home, work, env }) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(import.meta.dirname, "node_modules/.bin", program), args, {
      cwd: work,
      env: { PATH: process.env.PATH, HOME: home, TERM: "xterm-256color", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

/** Requests the gateway has answered so far, by route and status. */
async function requests() {
  const text = await (await fetch(gateway.url + "/metrics", { headers: { authorization: `Bearer ${KEY}` } })).text();
  const counts = {};
  for (const line of text.split("\n")) {
    const found = /^polyport_http_requests_total\{(.*)\} (\d+)/.exec(line);
    if (found) counts[found[1]] = Number(found[2]);
  }
  return counts;
}

/** How many requests came since `earlier` that match all `words`. */
async function since(earlier, ...words) {
  const now = await requests();
  return Object.entries(now)
    .filter(([labels]) => words.every((word) => labels.includes(word)))
    .reduce((sum, [labels, count]) => sum + count - (earlier[labels] ?? 0), 0);
}

for (const provider of PROVIDERS) {
  test(`Claude Code on a ${provider} provider`, async () => {
    const { home, work } = place(`claude-${provider}`);
    const earlier = await requests();
    const prompt = 'call Bash with {"command":"touch tool-ran","description":"Leave a file"}';
    const ended = await run(
      "claude",
      ["-p", prompt, "--output-format", "json", "--model", `${provider}-ok`, "--allowedTools", "Bash(touch:*)"],
      {
        home,
        work,
        env: {
          ANTHROPIC_BASE_URL: gateway.url,
          ANTHROPIC_AUTH_TOKEN: KEY,
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        },
      },
    );
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    const result = JSON.parse(ended.stdout);
    assert.equal(result.is_error, false, ended.stdout);
    assert.equal(result.num_turns, 2);
    assert.ok(result.result);
    assert.ok(result.usage.input_tokens > 0);
    assert.ok(existsSync(join(work, "tool-ran")), "the tool did not run");
    // Two turns are two requests: a third would be a retry or the repetition without streaming.
    assert.equal(await since(earlier, 'protocol="messages"'), 2);
  });

  for (const [tool, prompt, check] of [
    ["a shell command", 'call exec_command with {"cmd":"touch tool-ran"}', (work) => existsSync(join(work, "tool-ran"))],
    [
      "apply_patch",
      // A provider without free-form tools is offered a function with one string.
      `call apply_patch with ${provider === "responses" ? PATCH : JSON.stringify({ input: PATCH })}`,
      (work) => readFileSync(join(work, "patched.txt"), "utf8") === "patched\n",
    ],
  ]) {
    test(`Codex on a ${provider} provider: ${tool}`, async () => {
      const { home, work } = place(`codex-${provider}-${tool.replaceAll(" ", "-")}`);
      writeFileSync(
        join(home, "config.toml"),
        [
          `model = "gpt-5.5-${provider}"`,
          'model_provider = "polyport"',
          "[model_providers.polyport]",
          'name = "polyport"',
          `base_url = "${gateway.url}/v1"`,
          'wire_api = "responses"',
          'env_key = "POLYPORT_KEY"',
          "",
        ].join("\n"),
      );
      const earlier = await requests();
      const args = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json", prompt];
      const ended = await run("codex", args, { home, work, env: { CODEX_HOME: home, POLYPORT_KEY: KEY } });
      assert.equal(ended.code, 0, ended.stdout + ended.stderr);
      const events = ended.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
      assert.ok(events.some((event) => event.item?.type === "agent_message"), ended.stdout);
      assert.ok(events.some((event) => event.type === "turn.completed"), ended.stdout);
      assert.ok(!/reconnecting|retry/i.test(ended.stdout + ended.stderr), ended.stdout + ended.stderr);
      assert.ok(check(work), `the tool did not run: ${ended.stdout}`);
      assert.equal(await since(earlier, 'protocol="responses"'), 2);
    });
  }

  test(`gemini-cli on a ${provider} provider`, async () => {
    const { home, work } = place(`gemini-${provider}`);
    mkdirSync(join(home, ".gemini"));
    writeFileSync(
      join(home, ".gemini/settings.json"),
      JSON.stringify({ security: { auth: { selectedType: "gemini-api-key" } }, privacy: { usageStatisticsEnabled: false } }),
    );
    const earlier = await requests();
    const prompt = 'call run_shell_command with {"command":"touch tool-ran","description":"Leave a file"}';
    const ended = await run("gemini", ["--yolo", "-m", `gemini-9-${provider}`, "-p", prompt, "--output-format", "json"], {
      home,
      work,
      env: { GEMINI_API_KEY: KEY, GEMINI_CLI_TRUST_WORKSPACE: "true", GOOGLE_GEMINI_BASE_URL: gateway.url },
    });
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    const result = JSON.parse(ended.stdout.slice(ended.stdout.indexOf("{")));
    assert.ok(result.response, ended.stdout);
    assert.equal(result.stats.tools.totalSuccess, 1, ended.stdout);
    for (const model of Object.values(result.stats.models)) assert.equal(model.api.totalErrors, 0, ended.stdout);
    assert.ok(existsSync(join(work, "tool-ran")), "the tool did not run");
    assert.equal(await since(earlier, 'protocol="gemini"'), 2);
  });
}
