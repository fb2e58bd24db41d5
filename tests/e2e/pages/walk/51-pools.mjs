// Pools: the three tiers, targets in order, and what others change meanwhile.
import { words } from "../walk.mjs";

const t = words("en", "pools");
const OPUS = { tier: "advanced", targets: ["file-messages/messages-fast-1"] };

/** A tier's pool that is not there yet. */
async function missing(walk, tier) {
  const { pools } = await walk.api("GET", "pools");
  for (const pool of pools.filter((pool) => pool.tier === tier && pool.origin === "database")) {
    await walk.api("PATCH", `pools/${pool.id}`, { tier: null });
  }
}

export default {
  "a tier is set up: models of a provider are ticked, and haiku answers": async (walk) => {
    await missing(walk, "tool");
    const { pools } = await walk.api("GET", "pools");
    const name = pools.some((pool) => pool.name === "haiku") ? "walk-haiku" : "haiku";
    const page = await walk.open("/pools");
    await page.locator("[data-missing=tool]").getByRole("button", { name: t("missing.make") }).click();
    const editor = page.getByRole("dialog", { name: t("make") });
    await editor.getByRole("textbox", { name: t("form.name") }).fill(name);
    await editor.getByRole("button", { name: t("list.add") }).click();
    const choice = page.getByRole("dialog", { name: t("add.title") });
    await choice.getByRole("combobox", { name: t("add.provider") }).click();
    await page.getByRole("option", { name: "file-chat" }).click();
    await choice.getByRole("checkbox", { name: "file-chat/fast-1", exact: true }).check();
    await choice.getByRole("checkbox", { name: "file-chat/deep-1", exact: true }).check();
    // One that no list has is chosen as it is typed.
    await choice.getByRole("textbox", { name: t("common:search") }).fill("chat-unlisted-1");
    await choice.getByRole("button", { name: t("add.byHand", { target: "file-chat/chat-unlisted-1" }) }).click();
    await choice.getByRole("button", { name: t("add.do_other", { count: 3 }) }).click();
    await choice.waitFor({ state: "detached" });
    await walk.settled(page);
    await walk.axe(page);
    await editor.getByRole("button", { name: t("create") }).click();
    await page.locator(`[data-pool="${name}"]`).waitFor();
    const told = await walk.api("POST", "explain", { model: "claude-haiku-4-5-20251001" });
    walk.assert.match(told.rule, new RegExp(`pool \`${name}\``));
  },

  "the two-level order is shown while the pool is changed: providers take turns, then their models": async (walk) => {
    await walk.api("POST", "pools", { name: "walk-turns", targets: ["file-chat/chat-fast-1", "file-chat/chat-deep-1", "file-messages/messages-fast-1"] });
    const page = await walk.open("/pools?open=walk-turns");
    const strip = page.getByRole("list", { name: t("preview.title_other", { count: 12 }) }).getByRole("listitem");
    await strip.first().waitFor();
    walk.assert.equal(await strip.count(), 12);
    const turns = (await strip.allInnerTexts()).map((text) => text.replace(/^\d+\s*/, ""));
    const providers = turns.map((turn) => turn.split("/")[0]);
    for (let at = 1; at < 12; at += 1) walk.assert.notEqual(providers[at], providers[at - 1], turns.join(" "));
    const chat = turns.filter((turn) => turn.startsWith("file-chat/"));
    for (let at = 1; at < chat.length; at += 1) walk.assert.notEqual(chat[at], chat[at - 1], turns.join(" "));
    // What is not saved counts as well.
    await page.getByRole("button", { name: t("list.removeOf", { target: "file-messages/messages-fast-1" }) }).click();
    await strip.filter({ hasText: "file-messages" }).first().waitFor({ state: "detached" });
    await page.getByText(t("unsaved")).waitFor();
    await page.getByRole("button", { name: t("undo") }).click();
    await strip.filter({ hasText: "file-messages" }).first().waitFor();
    await page.getByText(t("allSaved")).waitFor();
  },

  "targets are moved with the keyboard alone, and it is said": async (walk) => {
    await walk.api("POST", "pools", { name: "walk-keys", targets: ["file-chat/chat-fast-1", "file-messages/messages-fast-1"] });
    const page = await walk.open("/pools?open=walk-keys");
    await page.getByRole("button", { name: t("list.move", { target: "file-chat/chat-fast-1" }) }).focus();
    // It is for ears alone.
    const said = (key, values) => page.locator("[aria-live=assertive]", { hasText: t(key, { target: "file-chat/chat-fast-1", ...values }) }).waitFor({ state: "attached" });
    await page.keyboard.press("Space");
    await said("drag.start", { place: 1, of: 2, priority: 1 });
    await page.keyboard.press("ArrowDown");
    await said("drag.over", { place: 2, of: 2, priority: 1 });
    // Past the end of the group: a priority of its own.
    await page.keyboard.press("ArrowDown");
    await said("drag.over", { place: 1, of: 1, priority: 2 });
    await page.keyboard.press("Space");
    await page.getByRole("button", { name: t("common:save"), exact: true }).click();
    await page.getByText(t("allSaved")).waitFor();
    const pool = await walk.api("GET", "pools/walk-keys");
    walk.assert.deepEqual(pool.targets.map(({ target, priority }) => `${target} ${priority}`), ["file-messages/messages-fast-1 1", "file-chat/chat-fast-1 2"]);
  },

  "targets are dragged with the pointer, and being switched off meanwhile is no conflict": async (walk) => {
    await walk.api("POST", "pools", { name: "walk-drag", targets: ["file-chat/chat-fast-1", "file-messages/messages-fast-1", "file-gemini/gemini-fast-1"] });
    const page = await walk.open("/pools?open=walk-drag");
    const handle = (target) => page.getByRole("button", { name: t("list.move", { target }) });
    const from = await handle("file-chat/chat-fast-1").boundingBox();
    const to = await handle("file-gemini/gemini-fast-1").boundingBox();
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2 + 10, { steps: 3 });
    await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2 + 4, { steps: 8 });
    await page.mouse.up();
    await page.getByText(t("unsaved")).waitFor();
    // What is clicked in the moment after a drag belongs to it.
    await walk.settled(page);
    await page.getByRole("switch", { name: t("head.on") }).click({ force: true });
    await page.getByText(t("turnedOff", { name: "walk-drag" })).waitFor();
    await walk.settled(page);
    await page.getByRole("button", { name: t("common:save"), exact: true }).click();
    await page.getByText(t("allSaved")).waitFor();
    const pool = await walk.api("GET", "pools/walk-drag");
    walk.assert.equal(pool.enabled, false);
    walk.assert.deepEqual(pool.definition.targets, ["file-messages/messages-fast-1", "file-gemini/gemini-fast-1", "file-chat/chat-fast-1"]);
  },

  "what somebody else changed meanwhile is not overwritten unasked": async (walk) => {
    walk.expect(/answered: 412 PATCH/, /console: .*412/);
    const made = await walk.api("POST", "pools", { name: "walk-stale", targets: ["file-chat/chat-fast-1"] });
    const page = await walk.open("/pools?open=walk-stale");
    const weight = page.getByRole("textbox", { name: t("list.weightOf", { target: "file-chat/chat-fast-1" }) });
    await weight.fill("7");
    await walk.api("PATCH", `pools/${made.id}`, { strategy: "ordered" });
    await page.getByRole("button", { name: t("common:save"), exact: true }).click();
    await page.getByText(t("common:conflict.title")).waitFor();
    walk.assert.equal(await weight.inputValue(), "7");
    await walk.axe(page);
    await page.getByRole("button", { name: t("common:conflict.replace") }).click();
    await page.getByText(t("allSaved")).waitFor();
    const pool = await walk.api("GET", "pools/walk-stale");
    walk.assert.equal(pool.targets[0].weight, 7);
  },

  "one that a route leads to is not deleted, and it is said why": async (walk) => {
    walk.expect(/answered: 409 DELETE/, /console: .*409/);
    await walk.api("POST", "pools", { name: "walk-wanted", targets: ["file-chat/chat-fast-1"] });
    await walk.api("POST", "routes", { name: "walk-wants", match: { model: "walk-wants-*" }, to: "walk-wanted" });
    const page = await walk.open("/pools?open=walk-wanted");
    await page.getByRole("button", { name: t("common:delete") }).click();
    const asks = page.getByRole("dialog", { name: t("remove.title", { name: "walk-wanted" }) });
    await asks.getByRole("button", { name: t("common:delete") }).click();
    await asks.getByRole("link", { name: "walk-wants" }).click();
    await page.waitForURL(/\/routes\?open=/);
    await page.getByRole("dialog", { name: "walk-wants" }).waitFor();
  },

  "unsaved changes are not left by mistake": async (walk) => {
    await walk.api("POST", "pools", { name: "walk-leave", ...OPUS, tier: undefined });
    const page = await walk.open("/pools?open=walk-leave");
    await page.getByRole("textbox", { name: t("list.weightOf", { target: "file-messages/messages-fast-1" }) }).fill("3");
    await page.getByText(t("unsaved")).waitFor();
    await page.keyboard.press("Escape");
    const asks = page.getByRole("dialog", { name: t("common:leave.title") });
    await asks.getByRole("button", { name: t("common:leave.do") }).click();
    await page.waitForURL(/\/pools$/);
    walk.assert.equal((await walk.api("GET", "pools/walk-leave")).targets[0].weight, 1);
  },

  "it looks right": async (walk) => {
    await walk.look("pools", "/pools");
    await walk.look("pools-open", "/pools?open=walk-turns", { namespace: "pools" });
    await walk.look("pools-phone", "/pools?open=walk-turns", { namespace: "pools", size: "phone" });
    await walk.look("pools-add", "/pools?open=walk-turns", { namespace: "pools", act: (page, t) => page.getByRole("button", { name: t("list.add") }).click() });
  },
};
