// The six pictures of the READMEs, of a gateway as a team might run it. `node pictures.mjs` takes them over.
import { setTimeout as sleep } from "node:timers/promises";

import { USAGE } from "../fakes.mjs";


const configure = (fakes) => `
discover: false
providers:
  openai: { preset: openai, base_url: "${fakes.chat}", keys: ["sk-openai-0123456789", "sk-openai-9876543210"] }
  anthropic: { preset: anthropic, base_url: "${fakes.messages}", keys: ["sk-ant-spent-0123456789", "sk-ant-0123456789"] }
  google: { preset: gemini, base_url: "${fakes.gemini}", keys: ["AIza-0123456789"] }
  deepseek: { preset: deepseek, base_url: "${fakes.chat}", keys: ["sk-deepseek-0123456789"] }
`;
const POOLS = [
  { name: "opus", tier: "advanced", targets: ["anthropic/claude-opus-4-8", "openai/gpt-5.5", { target: "google/gemini-3.1-pro-preview", priority: 2 }] },
  { name: "sonnet", tier: "normal", targets: [{ target: "anthropic/claude-sonnet-4-6", weight: 3 }, "anthropic/claude-sonnet-4-5", "deepseek/deepseek-v4-pro", { target: "openai/gpt-5.4", priority: 2 }] },
  { name: "haiku", tier: "tool", targets: ["anthropic/claude-haiku-4-5", "google/gemini-3-flash-preview", "deepseek/deepseek-v4-flash"] },
];
/** Who asks what in which protocol. */
const TRAFFIC = [
  ["messages", "claude-sonnet-4-6", "claude code"],
  ["messages", "sonnet", "claude code"],
  ["responses", "gpt-5.5", "codex"],
  ["messages", "haiku", "claude code"],
  ["gemini", "gemini-3-flash-preview", "gemini cli"],
  ["chat", "deepseek-v4-pro", "chat app"],
  ["chat", "opus", "chat app"],
];
const QUESTION = { en: "Which of our services still call the old billing API?", zh: "我们还有哪些服务在调用旧的计费 API？" };
const ANSWERS = {
  en: { thought: "Search for the host name of the old API first, then look at who imports the client.", text: "Two of them:\n\n- invoices calls /v1/charge in src/charge.rs\n- reports reads /v1/balance every night\n\nThe others use the new client." },
  zh: { thought: "先搜索旧 API 的主机名，再查看谁引用了旧的客户端。", text: "还有两个：\n\n- invoices 在 src/charge.rs 中调用 /v1/charge\n- reports 每晚读取 /v1/balance\n\n其余服务都已改用新客户端。" },
};
/** A request of Claude Code, nearly. */
const BODY = {
  model: "sonnet",
  max_tokens: 4096,
  top_k: 40,
  stream: true,
  system: [{ type: "text", text: "You are a careful engineer.", cache_control: { type: "ephemeral" } }],
  tools: [{ name: "read_file", description: "Reads a file", input_schema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] } }],
  messages: [{ role: "user", content: [{ type: "text", text: QUESTION.en, cache_control: { type: "ephemeral" } }] }],
};

async function prepare(walk) {
  walk.fakes.lists.set("chat", ["deepseek-v4-pro", "deepseek-v4-flash"]);
  walk.fakes.answers.set("deepseek-v4-pro", (sent) => ANSWERS[JSON.stringify(sent).includes(QUESTION.zh) ? "zh" : "en"]);
  for (const [name, team] of [["mei", "search"], ["jonas", "search"], ["lin", "payments"]]) {
    await walk.api("POST", "teams", { name: team }, { expect: 201 }).catch(() => {});
    await walk.user(name, "member", { team });
  }
  for (const pool of POOLS) await walk.api("POST", "pools", pool);
  for (const [name, target] of [["claude-*", "anthropic/*"], ["gpt-*", "openai/*"], ["gemini-*", "google/*"], ["deepseek-*", "deepseek/*"]]) {
    await walk.api("POST", "routes", { name: name.slice(0, -2), match: { model: name }, to: target });
  }
  for (const [at, name] of ["claude code", "codex", "gemini cli", "chat app"].entries()) await walk.key(name, { user: ["mei", "jonas", "lin"][at % 3] });
}

/** A gateway in use. */
async function use(walk, state) {
  const usual = { ...USAGE };
  for (let at = 0; !state.enough; at++) {
    const [protocol, model, name] = TRAFFIC[at % TRAFFIC.length];
    const input = 2_000 + ((at * 7919) % 9_000);
    Object.assign(USAGE, { input, cached: Math.floor(input * 0.7), output: 300 + ((at * 104_729) % 900), reasoning: 120 });
    await walk.client(protocol, model, QUESTION.en, { key: await walk.key(name), stream: true });
    await sleep(100 + ((at * 31) % 5) * 60);
  }
  Object.assign(USAGE, usual);
}

/** They are made anew where the page has changed: a minute of traffic, for nothing else to be seen. */
export const onlyByName = true;

export default {
  "the pictures of the READMEs": async (here) => {
    const walk = await here.elsewhere(configure);
    await prepare(walk);
    await walk.session(walk.admin);
    const state = { enough: false, ends: Date.now() + 60_000 };
    const used = use(walk, state);
    try {
      await pictures(walk);
      // The sparklines are to show a minute.
      await sleep(Math.max(0, state.ends - Date.now()));
      await walk.look("readme-dashboard", "/?range=15m", { axe: false });
    } finally {
      state.enough = true;
      await used;
    }
  },
};

async function pictures(walk) {
  await walk.look("readme-pools", "/pools?open=sonnet", { axe: false });
  await walk.look("readme-explain", "/explain", {
    axe: false,
    namespace: "explain",
    act: async (page, t) => {
      await page.getByRole("button", { name: t("form.wide") }).click();
      await page.getByRole("textbox", { name: t("form.body") }).fill(JSON.stringify({ ...BODY, model: "deepseek-v4-pro" }, null, 2));
      await page.getByRole("button", { name: t("form.ask"), exact: true }).click();
      await page.getByRole("table", { name: t("loss.title") }).waitFor();
    },
  });
  await walk.look("readme-playground", "/playground?model=deepseek-v4-pro&protocol=messages", {
    axe: false,
    namespace: "playground",
    act: async (page, t) => {
      await page.getByRole("button", { name: t("key.make") }).click();
      await page.getByRole("button", { name: t("key.forget") }).waitFor();
      const field = page.getByRole("textbox", { name: t("composer.label") });
      await field.fill(QUESTION[page.walkLanguage]);
      await field.press("Enter");
      await page.getByRole("link", { name: t("facts.entry") }).waitFor();
      await page.getByRole("tab", { name: t("tabs.events"), exact: true }).click();
    },
  });
  await walk.look("readme-add", "/providers", {
    axe: false,
    namespace: "providers",
    act: async (page, t) => {
      await page.getByRole("button", { name: t("add"), exact: true }).first().click();
      const dialog = page.getByRole("dialog", { name: t("addTitle") });
      await dialog.getByRole("button", { name: new RegExp(t("service.custom")) }).click();
      await dialog.getByRole("textbox", { name: t("access.address") }).fill(walk.fakes.chat);
      await dialog.getByLabel(new RegExp(`^${t("access.name")}`)).fill("deepseek-2");
      await dialog.getByRole("textbox", { name: t("access.keys") }).fill("sk-0123456789");
      await dialog.getByRole("button", { name: t("access.test") }).click();
      const models = dialog.getByRole("group", { name: t("models.title") });
      for (const name of walk.fakes.lists.get("chat")) await models.getByRole("checkbox", { name, exact: true }).check();
      await dialog.getByRole("button", { name: t("access.test") }).click();
      await dialog.getByRole("button", { name: t("places.more") }).waitFor();
    },
  });
  const { requests } = await walk.api("GET", "requests?model=claude-sonnet-4-6&limit=100");
  const moved = requests.find(({ attempts }) => attempts.length > 1) ?? requests[0];
  await walk.look("readme-request", `/requests?id=${moved.id}`, { axe: false });
}
