// Explain: what would happen to a model or a whole request.
import { words } from "../walk.mjs";

const t = words("en", "explain");
const BODIES = {
  chat: { model: "messages-fast-1", messages: [{ role: "user", content: "hi" }], seed: 7, logprobs: true },
  responses: { model: "chat-fast-1", input: "hi", instructions: "Be brief." },
  messages: { model: "chat-fast-1", max_tokens: 50, system: "Be brief.", messages: [{ role: "user", content: "hi" }], top_k: 4 },
  gemini: { contents: [{ role: "user", parts: [{ text: "hi" }] }] },
};

const put = async (page, text) => {
  const wide = page.getByRole("button", { name: t("form.wide") });
  if ((await wide.getAttribute("aria-expanded")) === "false") await wide.click();
  const field = page.getByRole("textbox", { name: t("form.body") });
  // Typing megabytes would take minutes; a paste comes at once.
  await field.evaluate((element, text) => {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(element, text);
    element.dispatchEvent(new Event("input", { bubbles: true }));
  }, text);
};
const ask = (page) => page.getByRole("button", { name: t("form.ask"), exact: true }).click();

export default {
  "a link explains a model: the rule, and the attempts in their order; no provider is asked": async (walk) => {
    const before = walk.fakes.requests.length;
    const page = await walk.open("/explain?model=chat-fast-1");
    const plan = page.getByRole("table", { name: t("plan.title") });
    await plan.getByRole("row").nth(1).getByText("file-chat").waitFor();
    await page.getByRole("region", { name: t("outcome") }).getByText("chat-*").waitFor();
    await walk.axe(page);
    walk.assert.equal(walk.fakes.requests.length, before);
  },

  "a body of each protocol is known by its looks, and shown as the provider gets it": async (walk) => {
    for (const [protocol, body] of Object.entries(BODIES)) {
      const page = await walk.open("/explain");
      if (protocol === "gemini") await page.getByRole("combobox", { name: t("form.model") }).fill("messages-fast-1");
      await put(page, JSON.stringify(body));
      await page.locator(`input[value="${t("form.detected", { protocol: t(`common:protocols.${protocol}`) })}"]`).waitFor();
      await ask(page);
      await page.getByRole("tree", { name: t("bodies.original", { protocol: t(`common:protocols.${protocol}`) }) }).waitFor();
      await page.getByRole("tree", { name: /^To file-/ }).getByText("fast-1").first().waitFor();
      if (protocol === "chat") {
        const losses = page.getByRole("table", { name: t("loss.title") });
        await losses.getByText("/seed").waitFor();
        await losses.getByText("/logprobs").waitFor();
        await walk.axe(page);
      }
      await walk.close(page);
    }
  },

  "what is left out is told with its reason": async (walk) => {
    await walk.api("POST", "providers", { name: "explain-off", protocol: "chat", base_url: walk.fakes.chat });
    const key = await walk.api("POST", "credentials", { provider: "explain-off", key: "sk-explain-off-0123456789", name: "explain key" });
    await walk.api("POST", `credentials/${key.id}/disable`);
    const page = await walk.open("/explain?model=explain-off/x");
    await page.getByText(t("nobody.title")).waitFor();
    await page.getByRole("table", { name: t("excluded.label") }).getByText(t("whys.the_key_is_switched_off")).waitFor();
    await walk.axe(page);
  },

  "a mistake in the body has its place": async (walk) => {
    walk.expect(/answered: 400 POST \S+\/explain/, /console: .*400/, /answered: 404 POST \S+\/explain/, /console: .*404/);
    const page = await walk.open("/explain");
    await put(page, '{"model": "chat-fast-1",\n "messages": [}');
    await page.getByText(t("common:json.mistakeAt", { line: 2, column: 15, what: t("common:json.mistakes.value") })).waitFor();
    await walk.axe(page);
    await put(page, '{"model": "messages-fast-1", "messages": [{"role": "user", "content": 4}]}');
    await ask(page);
    await page.getByRole("alert").getByText("#/body/messages/0/content").waitFor();
    await page.getByRole("button", { name: t("form.there") }).click();
    const place = await page.getByRole("textbox", { name: t("form.body") }).evaluate((field) => field.value.slice(field.selectionStart));
    walk.assert(place.startsWith('"content"'), place);
    await put(page, "");
    await page.getByRole("combobox", { name: t("form.model") }).fill("nobody-has-this");
    await ask(page);
    await page.getByRole("alert").getByText(/nobody-has-this/).waitFor();
  },

  "two megabytes are shown without harm, whether many lines or one": async (walk) => {
    const page = await walk.open("/explain");
    const many = { model: "messages-fast-1", messages: Array.from({ length: 20_000 }, (_, at) => ({ role: at % 2 ? "assistant" : "user", content: `${"x".repeat(60)}${at}` })) };
    for (const body of [many, { model: "messages-fast-1", messages: [{ role: "user", content: "y".repeat(2_000_000) }] }]) {
      await put(page, JSON.stringify(body));
      await page.locator(`input[value="${t("form.detected", { protocol: t("common:protocols.chat") })}"]`).waitFor();
      await ask(page);
      const pane = page.getByRole("tree", { name: t("bodies.converted", { target: "file-messages/messages-fast-1" }) });
      await pane.getByText(body === many ? "xxxxx" : t("common:json.more_other", { count: "…" }).split("…").at(-1).trim()).first().waitFor();
      const drawn = await pane.getByRole("treeitem").count();
      walk.assert(drawn < 200, `${drawn} lines are drawn`);
    }
  },

  "it looks right": async (walk) => {
    await walk.look("explain", "/explain?model=chat-fast-1");
    const act = async (page, t) => {
      await page.getByRole("button", { name: t("form.wide") }).click();
      await page.getByRole("textbox", { name: t("form.body") }).fill(JSON.stringify(BODIES.chat, null, 2));
      await page.locator(`input[value="${t("form.detected", { protocol: t("common:protocols.chat") })}"]`).waitFor();
      await page.getByRole("button", { name: t("form.ask"), exact: true }).click();
      await page.getByRole("table", { name: t("loss.title") }).waitFor();
    };
    await walk.look("explain-body", "/explain", { namespace: "explain", act });
    await walk.look("explain-phone", "/explain", { namespace: "explain", act, size: "phone" });
  },
};
