// llama.cpp itself, with a tiny model of random weights: run for each request on the command line, and as a server that is started on
// first use. What it says is nonsense; that it comes, streamed and in every protocol, is what is tested.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { KEY, start } from "./gateway.mjs";

const MODEL = process.env.TINY_MODEL;
const here = import.meta.dirname;
const CLI = join(here, "node_modules/node-llama-cpp/dist/cli/cli.js");

const PROVIDERS = `
  cli:
    adapter: process
    requests: 2
    timeouts: { first_byte: 5m }
    process:
      command: ${process.execPath}
      args: [${CLI}, complete, --gpu, "false", --threads, 1, -c, 512, -m, "{{ path }}", --textFile, "{{ file }}",
             --maxTokens, "{{ max_tokens or 64 }}", --temperature, "{{ temperature or 0 }}", [--seed, "{{ seed }}"]]
      template: chatml
      output: { after: "Completion: ", until: ["\\n> "] }
      models: { tiny: ${MODEL} }
  server:
    models: [tiny]
    server: { command: ${process.execPath}, args: [${join(here, "llama-server.mjs")}, ${MODEL}, "{{ port }}", 1], idle_timeout: 5s }`;

let gateway;
before(async () => {
  gateway = await start({ providers: [], more: PROVIDERS, models: ['  "run": cli/tiny', '  "served": server/tiny'] });
});
after(() => gateway.stop());

/** Path, body, and where the text stands in an answer or an event. */
const PROTOCOLS = {
  chat: {
    path: () => "/v1/chat/completions",
    body: { messages: [{ role: "user", content: "hello" }], max_tokens: 12 },
    text: (answer) => answer.choices[0].message.content,
    delta: (event) => event.choices?.[0]?.delta.content,
  },
  responses: {
    path: () => "/v1/responses",
    body: { input: "hello", max_output_tokens: 12, store: false },
    text: (answer) => answer.output[0].content[0].text,
    delta: (event) => event.type === "response.output_text.delta" && event.delta,
  },
  messages: {
    path: () => "/v1/messages",
    body: { messages: [{ role: "user", content: "hello" }], max_tokens: 12 },
    text: (answer) => answer.content[0].text,
    delta: (event) => event.type === "content_block_delta" && event.delta.text,
  },
  gemini: {
    path: (model, stream) => `/v1beta/models/${model}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    body: { contents: [{ role: "user", parts: [{ text: "hello" }] }], generationConfig: { maxOutputTokens: 12 } },
    text: (answer) => answer.candidates[0].content.parts[0].text,
    delta: (event) => event.candidates?.[0]?.content?.parts?.[0]?.text,
  },
};

function post(protocol, model, stream, more = {}, signal = undefined) {
  const { path, body } = PROTOCOLS[protocol];
  const headers = { "content-type": "application/json", authorization: `Bearer ${KEY}` };
  const named = protocol === "gemini" ? body : { ...body, model, stream };
  return fetch(gateway.url + path(model, stream), { method: "POST", headers, body: JSON.stringify({ ...named, ...more }), signal });
}

async function said(protocol, model, stream) {
  const answer = await post(protocol, model, stream);
  const body = await answer.text();
  assert.equal(answer.status, 200, `${body}\n${gateway.log()}`);
  const { text, delta } = PROTOCOLS[protocol];
  if (!stream) return text(JSON.parse(body));
  const data = body.split("\n").filter((line) => line.startsWith("data: {"));
  return data.map((line) => delta(JSON.parse(line.slice(6))) || "").join("");
}

/** Processes that have the model among their arguments. */
function processes() {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return numbers.filter((number) => {
    try {
      return readFileSync(`/proc/${number}/cmdline`, "utf8").split("\0").includes(MODEL);
    } catch {
      return false;
    }
  });
}

async function goneWithin(seconds) {
  for (let waited = 0; processes().length; waited += 10) {
    assert.ok(waited < seconds * 1000, `still there: ${processes()}`);
    await sleep(10);
  }
}

test("the command line answers in every protocol", async () => {
  const streamed = await Promise.all(Object.keys(PROTOCOLS).map((protocol) => said(protocol, "run", true)));
  assert.ok(streamed[0].length > 0);
  assert.deepEqual(new Set(streamed).size, 1, JSON.stringify(streamed));
  assert.equal(await said("messages", "run", false), streamed[0]);
  await goneWithin(1);
});

test("the command line ends within a second when its client leaves", async () => {
  const leaving = new AbortController();
  const answer = await post("chat", "run", true, { max_tokens: 400 }, leaving.signal);
  const reader = answer.body.getReader();
  for (let read = ""; !read.includes('"content":"'); ) {
    const { value, done } = await reader.read();
    assert.ok(!done, read);
    read += new TextDecoder().decode(value);
  }
  assert.ok(processes().length > 0);
  leaving.abort();
  await goneWithin(1);
});

test("a server is started on first use, answers in every protocol, and is stopped when idle", async () => {
  assert.deepEqual(processes(), []);
  const answers = [];
  for (const protocol of Object.keys(PROTOCOLS)) {
    for (const stream of [true, false]) answers.push(await said(protocol, "served", stream));
  }
  assert.ok(answers[0].length > 0);
  assert.deepEqual(new Set(answers).size, 1, JSON.stringify(answers));
  assert.ok(processes().length > 0);
  await goneWithin(10);
});
