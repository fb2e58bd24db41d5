// Requests: the log, followed live, filtered, and each of them in detail.
import { readFileSync } from "node:fs";

import { words } from "../walk.mjs";

const t = words("en", "requests");
const explain = words("en", "explain");
const play = words("en", "playground");
const TRICK = `<img src=x onerror="document.title='taken'"> \u202Eسلام 🚢`;

/** Waits until so many requests of a model are in the log: it is written a moment after they have ended. */
async function logged(walk, model, count = 1, more = "") {
  for (const until = Date.now() + 20_000; ; ) {
    const { requests } = await walk.api("GET", `requests?model=${encodeURIComponent(model)}${more}`);
    if (requests.length >= count) return requests;
    walk.assert(Date.now() < until, `${requests.length} of ${count} requests of ${model} are in the log`);
  }
}
const rows = (page) => page.getByRole("table", { name: t("common:screens.requests") }).getByRole("row").filter({ has: page.getByRole("cell") });
const drawer = (page) => page.getByRole("dialog");

export default {
  "requests are listed with who asked, where they went, how they came out and what they cost": async (walk) => {
    const user = await walk.user("harbourmaster", "member", { team: "quay" }).catch(async () => {
      await walk.api("POST", "teams", { name: "quay" });
      return walk.user("harbourmaster", "member", { team: "quay" });
    });
    const key = await walk.key("pier", { user: user.name });
    await walk.client("chat", "chat-fast-1", "hello", { key, stream: true });
    await walk.client("chat", "messages-deep-1", "hello", { key, stream: true, more: { seed: 7, logprobs: true } });
    await walk.client("messages", "gemini-fast-1", "hello", { key });
    await walk.client("chat", "chat-limit-1", "hello", { key });
    await walk.client("responses", "nothing-serves-this", "hello", { key });
    await Promise.all(["chat-fast-1", "messages-deep-1", "gemini-fast-1", "chat-limit-1", "nothing-serves-this"].map((model) => logged(walk, model)));
    const page = await walk.open("/requests?q=pier");
    const row = rows(page).filter({ hasText: "messages-deep-1" });
    await row.getByText("harbourmaster").waitFor();
    await row.getByText(/file-messages/).waitFor();
    await row.getByText(`200 · ${t("outcomes.answered")}`).waitFor();
    await row.getByText("US$").or(row.getByText("$")).first().waitFor();
    await row.getByText(/loss/).waitFor();
    await rows(page).filter({ hasText: "chat-limit-1" }).getByText(`429 · ${t("outcomes.rate_limited")}`).waitFor();
    await walk.axe(page);
  },

  "filters stand in the address and bound the list; an empty one says what to do": async (walk) => {
    const page = await walk.open("/requests");
    await page.getByText(t("filters.onlyFailed"), { exact: true }).click();
    await page.waitForURL(/failed=/);
    await page.getByRole("button", { name: t("filters.more"), exact: true }).click();
    // A choice in one field leaves the others where they are.
    for (const [field, choice, name] of [["provider", "file-chat", "file-chat"], ["outcome", "rate_limited", t("outcomes.rate_limited")]]) {
      await page.getByRole("combobox", { name: t(`filters.${field}`) }).click();
      await page.getByRole("option", { name, exact: true }).click();
      await page.waitForURL(new RegExp(`${field}=${choice}`));
    }
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await rows(page).filter({ hasText: "chat-fast-1" }).first().waitFor({ state: "detached" });
    await rows(page).filter({ hasText: "chat-limit-1" }).first().waitFor();
    await page.reload();
    await rows(page).filter({ hasText: "chat-limit-1" }).first().waitFor();
    for (const name of ["outcome", "failed"]) await page.getByRole("button", { name: t("filters.remove", { name: t(`filters.${name}`) }) }).click();
    await rows(page).filter({ hasText: "chat-fast-1" }).first().waitFor();
    await page.getByRole("textbox", { name: t("filters.q") }).fill("no request holds this");
    await page.getByText(t("empty.narrowed")).waitFor();
    await walk.axe(page);
    await page.getByRole("button", { name: t("empty.widen") }).click();
    await rows(page).first().waitFor();
    walk.assert(!page.url().includes("?"), page.url());
  },

  "a request is seen with its attempts over time, usage by class, cost, losses, and the next one is a key away": async (walk) => {
    const page = await walk.open("/requests?q=pier");
    await rows(page).filter({ hasText: "messages-deep-1" }).click();
    await page.waitForURL(/[?&]id=req_/);
    await drawer(page).getByRole("img", { name: /first token after/ }).waitFor();
    await drawer(page).getByText("1. file-messages/messages-deep-1").waitFor();
    await drawer(page).getByRole("link", { name: /^file-messages · / }).waitFor();
    const usage = drawer(page).getByRole("table").filter({ hasText: t("usage.class") });
    await usage.getByText(t("classes.cache_read"), { exact: true }).waitFor();
    const losses = drawer(page).getByRole("table").filter({ hasText: explain("loss.path") });
    await losses.getByText("/seed").waitFor();
    await losses.getByText("/logprobs", { exact: true }).waitFor();
    await walk.axe(page);
    const before = page.url();
    await page.keyboard.press("j");
    await page.waitForURL((url) => url.href !== before);
    // What was opened over the list is gone back from.
    await page.goBack();
    await drawer(page).waitFor({ state: "detached" });
    await page.waitForURL(/\/requests\?q=pier$/);
    await page.goForward();
    await drawer(page).waitFor();
    await page.keyboard.press("k");
    await page.waitForURL((url) => url.href === before);
    await drawer(page).getByRole("button", { name: t("detail.explain") }).click();
    await page.waitForURL(/\/admin\/explain\?model=messages-deep-1/);
  },

  "what failed tells why, and what can be done": async (walk) => {
    const page = await walk.open("/requests?model=chat-limit-1");
    await rows(page).first().click();
    await drawer(page).getByText(t("remedies.rate_limited")).waitFor();
    await walk.axe(page);
  },

  "A10: what was said is kept where its key says so, is text and nothing else, and is sent again from the playground": async (walk) => {
    const key = await walk.key("keeps", { capture: true });
    await walk.client("messages", "messages-fast-1", TRICK, { key });
    const [request] = await logged(walk, "messages-fast-1", 1, "&q=keeps");
    const page = await walk.open(`/requests?id=${request.id}`);
    await drawer(page).getByRole("tree", { name: t("said.request") }).getByText("onerror").waitFor();
    await drawer(page).getByRole("tree", { name: t("said.answer") }).waitFor();
    walk.assert.equal(await page.locator("img[src=x]").count(), 0);
    walk.assert((await page.title()) !== "taken");
    await walk.axe(page);
    await drawer(page).getByRole("button", { name: t("replay.do") }).click();
    await page.waitForURL(/\/admin\/playground/);
    walk.assert(!decodeURIComponent(page.url()).includes("onerror"), page.url());
    const body = page.getByRole("textbox", { name: play("raw.label") });
    await body.waitFor();
    walk.assert.equal(JSON.parse(await body.inputValue()).messages[0].content, TRICK);
    walk.assert.equal(await page.getByRole("combobox", { name: play("target.protocol") }).inputValue(), t("common:protocols.messages"));
  },

  "what is not kept cannot be sent again, and it is said how to keep it": async (walk) => {
    const [request] = await logged(walk, "chat-limit-1");
    const page = await walk.open(`/requests?id=${request.id}`);
    await drawer(page).getByText(t("said.none")).waitFor();
    const button = drawer(page).getByRole("button", { name: t("replay.do") });
    walk.assert.equal(await button.getAttribute("aria-disabled"), "true");
    await button.focus();
    await page.getByText(t("replay.notKept")).waitFor();
  },

  "new ones come in live, wait while it is paused, and are shown when it goes on": async (walk) => {
    const page = await walk.open("/requests?model=chat-slow-1&live=on");
    await page.locator("[data-live=live]").waitFor();
    await walk.client("chat", "chat-slow-1", "one", { stream: true });
    await rows(page).first().waitFor();
    await page.getByRole("button", { name: t("live.pause") }).click();
    await walk.client("chat", "chat-slow-1", "two", { stream: true });
    const more = page.getByRole("button", { name: t("live.resumeWith_one", { count: 1 }) });
    await more.waitFor();
    walk.assert.equal(await rows(page).count(), 1);
    await walk.axe(page);
    await more.click();
    await page.waitForFunction(() => document.querySelectorAll("[role=row][aria-rowindex]").length === 2);
    // Others do not come in: it is followed with the filters.
    await walk.client("chat", "chat-fast-1", "three");
    await logged(walk, "chat-fast-1", 2);
    walk.assert.equal(await rows(page).count(), 2);
  },

  "following begins and ends without a gap": async (walk) => {
    // What ends between the list and the first event is in neither, unless the list is read again.
    const model = "gemini-slow-2";
    const page = await walk.open(`/requests?model=${model}`);
    await page.getByText(t("empty.narrowed")).waitFor();
    let open;
    const opening = new Promise((done) => (open = done));
    await page.route("**/admin/api/requests/live*", async (route) => (await opening, route.continue()));
    await page.getByRole("button", { name: t("live.follow") }).click();
    await walk.client("chat", model, "unseen");
    await logged(walk, model);
    open();
    await rows(page).first().waitFor();
    await page.locator("[data-live=live]").waitFor();
    await walk.client("chat", model, "seen");
    await page.waitForFunction(() => document.querySelectorAll("[role=row][aria-rowindex]").length === 2);
    await Promise.all([
      page.waitForResponse((answer) => answer.url().includes("/admin/api/requests?")),
      page.getByRole("button", { name: t("live.end") }).click().then(async () => {
        await page.getByRole("button", { name: t("live.follow") }).waitFor();
        walk.assert.equal(await rows(page).count(), 2);
      }),
    ]);
    await walk.settled(page);
    walk.assert.equal(await rows(page).count(), 2);
  },

  "an export whose session has ended says so, and nothing is lost": async (walk) => {
    walk.expect(/answered: 401 /, /console: .*401/);
    const user = await walk.user("exporter", "admin");
    const page = await walk.open("/requests?q=pier", { as: user });
    await page.getByRole("button", { name: t("export.do") }).waitFor();
    await walk.api("DELETE", `users/${user.name}/sessions`);
    await page.getByRole("button", { name: t("export.do") }).click();
    await page.getByRole("menuitem", { name: t("export.csv") }).click();
    await page.getByRole("dialog").getByRole("textbox", { name: /Password/ }).waitFor();
  },

  "what is looked for is exported": async (walk) => {
    const page = await walk.open("/requests?q=pier");
    await page.getByRole("button", { name: t("export.do") }).click();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: t("export.csv") }).click()]);
    const lines = readFileSync(await file.path(), "utf8").trim().split("\r\n");
    walk.assert(lines[0].startsWith("id,at,key,user,team"), lines[0]);
    walk.assert(lines.length > 4 && lines.slice(1).every((line) => line.includes("pier")), lines.join("\n"));
  },

  "members see their own, and nothing of how the gateway reaches its providers": async (walk) => {
    const page = await walk.open("/requests", { as: await walk.user("harbourmaster") });
    await rows(page).filter({ hasText: "messages-deep-1" }).first().click();
    await drawer(page).getByText("1. file-messages/messages-deep-1").waitFor();
    walk.assert.equal(await drawer(page).getByText(t("attempts.credential")).count(), 0);
    walk.assert.equal(await drawer(page).getByRole("button", { name: t("detail.explain") }).count(), 0);
    await walk.axe(page);
  },

  "it looks right": async (walk) => {
    await walk.look("requests", "/requests?q=pier");
    await walk.look("requests-phone", "/requests?q=pier", { size: "phone", namespace: "requests" });
    await walk.look("requests-detail", "/requests?q=pier", { namespace: "requests", act: (page) => page.locator("[role=row][aria-rowindex]", { hasText: "messages-deep-1" }).first().click() });
    await walk.look("requests-detail-phone", "/requests?q=pier", { size: "phone", namespace: "requests", act: (page) => page.locator("[role=row][aria-rowindex]").first().click() });
  },
};
