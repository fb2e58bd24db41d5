// The playground: all four protocols as clients speak them, with what goes over the wire.
import { words } from "../walk.mjs";

const t = words("en", "playground");
const requests = words("en", "requests");
const PROTOCOLS = ["chat", "responses", "messages", "gemini"];
const HELLO = /Hello from the fake provider\. 你好。/;
/** The smallest PNG there is. */
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

/** Clients need a key as soon as there is one: this tab gets its own. */
async function ready(walk, path, how) {
  await walk.key();
  const page = await walk.open(path, how);
  await page.getByRole("button", { name: t("key.make") }).click();
  await page.getByRole("button", { name: t("key.forget") }).waitFor();
  return page;
}
async function say(page, text) {
  const field = page.getByRole("textbox", { name: t("composer.label") });
  await field.fill(text);
  await field.press("Enter");
}
const talk = (page) => page.getByRole("region", { name: t("talk.label"), exact: true });
const tab = (page, name) => page.getByRole("tab", { name: t(`tabs.${name}`), exact: true }).click();
const sendButton = (page) => page.getByRole("button", { name: t("composer.send"), exact: true });

export default {
  "a key for this tab is made, stands nowhere in the page, and is gone with it": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-fast-1");
    const { keys } = await walk.api("GET", "keys?q=playground-");
    walk.assert.equal(keys.length, 1);
    walk.assert.equal(keys[0].user.name, walk.admin.name);
    walk.assert(keys[0].expires_at > Date.now() && keys[0].expires_at < Date.now() + 3_700_000);
    walk.assert(!/[^a-z]pp-[A-Za-z0-9]{8}/.test(await page.content()));
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    walk.assert(!stored.includes("pp-"), stored);
    await page.goto(`${walk.url}/admin/account`);
    for (const until = Date.now() + 10_000; (await walk.api("GET", "keys?q=playground-")).keys.length > 0; ) walk.assert(Date.now() < until, "the key is still there");
  },

  "an answer streams in each protocol, with reasoning apart, figures, and its entry in the log": async (walk) => {
    const page = await ready(walk, "/playground?model=messages-deep-1");
    for (const protocol of PROTOCOLS) {
      await page.getByRole("button", { name: t("composer.clear") }).click();
      await page.getByRole("combobox", { name: t("target.protocol") }).click();
      await page.getByRole("option", { name: t(`common:protocols.${protocol}`) }).click();
      await page.getByRole("combobox", { name: t("target.model") }).fill(`${protocol}-deep-1`);
      await page.keyboard.press("Escape");
      await say(page, `Hello in ${protocol}`);
      await talk(page).getByText(HELLO).waitFor();
      await talk(page).getByText(/12 → 7 tokens|→ \d+ tokens/).waitFor();
      await talk(page).getByRole("link", { name: t("facts.entry") }).waitFor();
      if (protocol !== "responses" && protocol !== "gemini") await talk(page).getByText(t("answer.reasoning"), { exact: true }).waitFor();
      const sent = walk.fakes.last(protocol);
      walk.assert(JSON.stringify(sent.body).includes(`Hello in ${protocol}`), protocol);
      await tab(page, "events");
      const first = page.getByRole("listbox", { name: t("events.label") }).getByRole("option").first();
      await first.getByText(/^\d+\.\d ms$/).waitFor();
      await tab(page, "request");
      await page.getByRole("tree", { name: t("request.body") }).getByText(`Hello in ${protocol}`).waitFor();
      await tab(page, "code");
      await page.getByText("YOUR_KEY").first().waitFor();
      // It is the request that was sent, and ends with what the caller said.
      const code = await page.getByLabel(t("code.curl"), { exact: true }).last().innerText();
      walk.assert(code.includes(`Hello in ${protocol}`) && !HELLO.test(code), code);
    }
    await tab(page, "converted");
    await page.getByRole("tree", { name: t("converted.body") }).getByText("Hello in gemini").waitFor();
    await walk.axe(page);
    // All of it beside one another.
    await page.getByRole("button", { name: t("wide") }).click();
    const part = (name) => page.getByRole("region", { name: t(`tabs.${name}`), exact: true });
    await part("request").getByText("Hello in gemini").waitFor();
    await part("events").getByRole("option").first().waitFor();
    await part("converted").getByText("Hello in gemini").waitFor();
    await walk.shot(page, "playground-wide", { fullPage: true, axe: true });
    await page.getByRole("button", { name: t("wide") }).click();
    await talk(page).getByRole("link", { name: t("facts.entry") }).click();
    await page.getByRole("dialog").getByText("1. file-gemini/gemini-deep-1").waitFor();
    // What was said is still there.
    await page.goBack();
    await talk(page).getByText(HELLO).waitFor();
  },

  "a tool is called, its result typed, and the conversation goes on": async (walk) => {
    const page = await ready(walk, "/playground?model=messages-tool-1&protocol=messages");
    await page.getByRole("switch", { name: t("settings.useTools") }).check();
    await say(page, "Weather in Oslo?");
    await talk(page).getByText("get_weather").first().waitFor();
    await talk(page).getByText('"city": "Oslo"').waitFor();
    await walk.axe(page);
    await talk(page).getByRole("textbox", { name: /get_weather/ }).fill('{"degrees": 4}');
    await talk(page).getByRole("button", { name: t("talk.giveResults_one") }).click();
    await talk(page).getByText(HELLO).waitFor();
    const { messages } = walk.fakes.last("messages").body;
    walk.assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant", "user"]);
    walk.assert.equal(messages[2].content[0].tool_use_id, messages[1].content.find(({ type }) => type === "tool_use").id);
  },

  "images go along; others are refused with the reason": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-fast-1");
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: t("images.label") }).click()]);
    await chooser.setFiles([{ name: "dot.png", mimeType: "image/png", buffer: PICTURE }, { name: "page.html", mimeType: "text/html", buffer: Buffer.from("<b>") }]);
    await page.getByText(t("images.type")).waitFor();
    await page.getByRole("img", { name: "dot.png" }).waitFor();
    await say(page, "What is this?");
    await talk(page).getByText(HELLO).waitFor();
    const { content } = walk.fakes.last("chat").body.messages.at(-1);
    walk.assert(content.some((part) => part.image_url?.url === `data:image/png;base64,${PICTURE.toString("base64")}`), JSON.stringify(content));
  },

  "A11: who never answers is stopped, and what was said is still there": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-silent-1");
    await say(page, "Is anybody there?");
    await talk(page).getByText(t("talk.waiting")).waitFor();
    await page.getByRole("button", { name: t("composer.stop") }).click();
    await talk(page).getByText(t("failure.stoppedText")).waitFor();
    await page.getByRole("combobox", { name: t("target.model") }).fill("chat-fast-1");
    await page.keyboard.press("Escape");
    await talk(page).getByRole("button", { name: t("talk.edit") }).click();
    walk.assert.equal(await page.getByRole("textbox", { name: t("composer.label") }).inputValue(), "Is anybody there?");
    await sendButton(page).click();
    await talk(page).getByText(HELLO).waitFor();
  },

  "errors are told in the protocol's own words, with what to do": async (walk) => {
    walk.expect(/answered: (429|404|500) POST/, /console: .*(429|404|500)/);
    const page = await ready(walk, "/playground?model=messages-limit-1&protocol=messages");
    await say(page, "Hello");
    await talk(page).getByRole("alert").getByText("rate_limit_error").waitFor();
    await talk(page).getByText(requests("remedies.rate_limited")).waitFor();
    await walk.axe(page);
    await page.getByRole("combobox", { name: t("target.model") }).fill("nothing-serves-this");
    await page.keyboard.press("Escape");
    await talk(page).getByRole("button", { name: t("common:again") }).click();
    await talk(page).getByText(requests("remedies.model_not_found")).waitFor();
    await page.getByRole("combobox", { name: t("target.model") }).fill("messages-cut-1");
    await page.keyboard.press("Escape");
    await talk(page).getByRole("button", { name: t("common:again") }).click();
    await talk(page).getByRole("alert").getByText(/^500 · /).waitFor();
    walk.assert.equal(await talk(page).getByText("Hello", { exact: true }).count(), 1);
  },

  "two targets answer the same prompt at once, and are compared": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-slow-1");
    await page.getByRole("switch", { name: t("compare.on") }).check();
    await page.getByRole("combobox", { name: `B · ${t("target.protocol")}` }).click();
    await page.getByRole("option", { name: t("common:protocols.gemini") }).click();
    await page.getByRole("combobox", { name: `B · ${t("target.model")}` }).fill("messages-slow-1");
    await page.keyboard.press("Escape");
    await say(page, "Hello twice");
    for (const lane of ["A", "B"]) await page.getByRole("region", { name: `${lane} · ${t("talk.label")}` }).getByText("piece 1 piece 2").waitFor();
    await sendButton(page).waitFor();
    const table = page.getByRole("table").filter({ hasText: t("compare.title") });
    await table.getByText("file-chat/chat-slow-1").waitFor();
    await table.getByText("file-messages/messages-slow-1").waitFor();
    await walk.axe(page);
    await walk.shot(page, "playground-compared");
  },

  "a body written by hand is sent as it stands, and mistakes in it are told": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-fast-1");
    await page.getByText(t("mode.raw"), { exact: true }).click();
    const body = page.getByRole("textbox", { name: t("raw.label") });
    await body.fill('{"model": "chat-fast-1", ');
    await page.getByText(/This is no JSON/).waitFor();
    walk.assert(await sendButton(page).isDisabled());
    await walk.axe(page);
    await body.fill('{"model": "chat-fast-1", "messages": [{"role": "user", "content": "by hand"}], "x_own": {"kept": true}}');
    await body.press("Control+Enter");
    await talk(page).getByText(HELLO).waitFor();
    walk.assert.deepEqual(walk.fakes.last("chat").body.x_own, { kept: true });
    await tab(page, "events");
    await page.getByRole("tree", { name: t("events.whole") }).waitFor();
  },

  "nothing that was said or written is lost by a switch, and what is thrown away can be brought back": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-fast-1");
    const second = page.getByRole("region", { name: `B · ${t("talk.label")}` });
    await page.getByRole("switch", { name: t("compare.on") }).press("Space");
    await page.getByRole("combobox", { name: `B · ${t("target.model")}` }).fill("messages-fast-1");
    await page.keyboard.press("Escape");
    await say(page, "Hello twice");
    await second.getByText(HELLO).waitFor();
    await sendButton(page).waitFor();
    await page.getByText(t("mode.raw"), { exact: true }).click();
    const body = page.getByRole("textbox", { name: t("raw.label") });
    await body.fill('{"model": "chat-fast-1", "messages": [{"role": "user", "content": "mine"}]}');
    await page.getByText(t("mode.talk"), { exact: true }).click();
    await second.getByText(HELLO).waitFor();
    await page.getByText(t("mode.raw"), { exact: true }).click();
    walk.assert((await body.inputValue()).includes("mine"), "what was written is still there");
    await page.getByRole("button", { name: t("raw.remake") }).click();
    walk.assert((await body.inputValue()).includes("Hello twice"), "it is what the conversation says");
    await page.getByText(t("undo.raw")).waitFor();
    await walk.axe(page);
    await page.getByRole("button", { name: t("undo.do") }).click();
    walk.assert((await body.inputValue()).includes("mine"), "it is brought back");
    await page.getByText(t("mode.talk"), { exact: true }).click();
    await page.getByRole("switch", { name: t("compare.on") }).press("Space");
    await second.waitFor({ state: "detached" });
    await say(page, "Hello once more");
    await talk(page).getByText(HELLO).nth(1).waitFor();
    await page.getByRole("switch", { name: t("compare.on") }).press("Space");
    await second.getByText(HELLO).first().waitFor();
    await second.getByText("Hello once more", { exact: true }).waitFor();
    await page.getByRole("button", { name: t("composer.clear") }).click();
    await second.getByText(t("talk.empty"), { exact: true }).waitFor();
    await page.getByRole("button", { name: t("undo.do") }).click();
    await second.getByText("Hello twice", { exact: true }).waitFor();
  },

  "what keeps a message from being sent is said beside the button, and absurd settings are bounded": async (walk) => {
    const page = await ready(walk, "/playground?model=chat-fast-1&tab=request");
    await tab(page, "settings");
    const most = page.getByRole("textbox", { name: t("settings.maxTokens") });
    await most.fill("999999999999999999999");
    await most.blur();
    walk.assert.equal(await most.inputValue(), "10,000,000");
    const heat = page.getByRole("textbox", { name: t("settings.temperature") });
    await heat.fill("-1e999");
    await heat.blur();
    walk.assert(!/e|-|Infinity|NaN/.test(await heat.inputValue()), await heat.inputValue());
    await heat.fill("");
    await page.getByRole("switch", { name: t("settings.useTools") }).press("Space");
    const tools = page.getByRole("textbox", { name: t("settings.tools") });
    await tools.fill("[{");
    await page.getByRole("textbox", { name: t("composer.label") }).fill("Weather in Oslo?");
    await page.getByText(t("composer.why.tools")).waitFor();
    walk.assert(await sendButton(page).isDisabled());
    await walk.axe(page);
    await tab(page, "request");
    await page.getByRole("button", { name: t("composer.mend") }).click();
    await tools.waitFor();
    walk.assert(await tools.evaluate((field) => field === document.activeElement), "it leads to the tools");
    await tools.fill("[]");
    await sendButton(page).click();
    await talk(page).getByText(HELLO).waitFor();
    walk.assert.equal(walk.fakes.last("chat").body[["max_tokens", "max_completion_tokens"].find((name) => name in walk.fakes.last("chat").body)], 10_000_000);
  },

  "members ask as well, without what only admins see": async (walk) => {
    walk.expect(/answered: 401 GET .*\/v1\/models/, /console: .*401 .*\/v1\/models\)/);
    const page = await ready(walk, "/playground?model=chat-fast-1", { as: await walk.user("sailor") });
    await say(page, "Hello");
    await talk(page).getByText(HELLO).waitFor();
    walk.assert.equal(await page.getByRole("tab", { name: t("tabs.converted"), exact: true }).count(), 0);
  },

  "it looks right": async (walk) => {
    const act = async (page, t) => {
      await page.getByRole("button", { name: t("key.make") }).click();
      await page.getByRole("button", { name: t("key.forget") }).waitFor();
      const field = page.getByRole("textbox", { name: t("composer.label") });
      await field.fill("Hello");
      await field.press("Enter");
      await page.getByText(HELLO).waitFor();
    };
    await walk.look("playground-key", "/playground?model=chat-deep-1", { namespace: "playground" });
    await walk.look("playground", "/playground?model=chat-deep-1", { act });
    await walk.look("playground-phone", "/playground?model=chat-deep-1", { act, namespace: "playground", size: "phone" });
  },
};
