// Settings: what holds for the gateway as a whole, who is told, copies, the file, and what is not in force.
import { statSync } from "node:fs";
import { createServer } from "node:http";

import { words } from "../walk.mjs";

const t = words("en", "settings");
const PATH = "accounting.keep.payloads";
const row = (page, path = PATH) => page.locator(`[data-setting="${path}"]`);
const field = (page, path = PATH) => row(page, path).getByRole("textbox");
const save = (page) => page.getByRole("button", { name: t("saveAll") });

/** Takes what the walk said back. */
const restore = (walk) => walk.api("PATCH", "settings", { accounting: { keep: null }, retry: null, notifications: null });

/** A program that takes messages, and what came. */
async function receiver() {
  const taken = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      taken.push({ path: request.url, signature: request.headers["webhook-signature"], body: JSON.parse(body) });
      response.writeHead(204).end();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}/in/hidden-part`, taken, close: () => new Promise((done) => server.close(done)) };
}

export default {
  "settings are found, changed together, in force at once, and taken back": async (walk) => {
    await restore(walk);
    const page = await walk.open("/settings");
    await page.getByRole("textbox", { name: t("search") }).fill("keep captured");
    await row(page).waitFor();
    await page.getByRole("textbox", { name: t("search") }).fill("");
    await field(page).fill("9d");
    await page.getByText(t("unsaved_one", { count: 1 })).waitFor();
    await walk.axe(page);
    await save(page).click();
    await page.getByRole("status").filter({ hasText: t("common:saved") }).waitFor();
    await row(page).getByText(t("owners.database")).waitFor();
    const { settings } = await walk.api("GET", "settings");
    walk.assert.equal(settings.find(({ path }) => path === PATH).value, "9d");
    await row(page).getByRole("button", { name: t("toUsual") }).click();
    await save(page).click();
    await row(page).getByText(t("owners.default"), { exact: true }).waitFor();
  },

  "absurd values are answered at their field, and stay": async (walk) => {
    const page = await walk.open("/settings");
    await field(page, "accounting.drain_tokens").fill("1e999");
    await save(page).click();
    await row(page, "accounting.drain_tokens").getByText(t("mistakes.large")).waitFor();
    await field(page, "accounting.drain_tokens").fill("");
    await field(page).fill("30 parsecs");
    walk.expect(/answered: 400 PATCH \S+settings/, /console: .*400 .*settings/);
    await save(page).click();
    await row(page).getByText(/time with its unit/).waitFor();
    walk.assert.equal(await field(page).inputValue(), "30 parsecs");
    await walk.axe(page);
  },

  "a mistake in another section is gone to": async (walk) => {
    const page = await walk.open("/settings");
    const path = "accounting.drain_tokens";
    await field(page, path).fill("1e999");
    await page.getByRole("navigation", { name: t("section") }).getByRole("button", { name: t("sections.retry") }).click();
    await row(page, path).waitFor({ state: "detached" });
    await save(page).click();
    await row(page, path).getByText(t("mistakes.large")).waitFor();
    await page.waitForFunction((path) => {
      const { top, bottom } = document.querySelector(`[data-setting="${path}"]`).getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }, path);
  },

  "what somebody else changed meanwhile is explained, and nothing typed is lost": async (walk) => {
    const page = await walk.open("/settings");
    await field(page).fill("11d");
    await walk.api("PATCH", "settings", { retry: { max_wait: "6s" } });
    walk.expect(/answered: 412 PATCH \S+settings/, /console: .*412 .*settings/);
    await save(page).click();
    await page.getByText(t("common:conflict.title")).waitFor();
    await walk.axe(page);
    await page.getByRole("button", { name: t("common:conflict.take") }).click();
    await page.getByText(t("common:conflict.title")).waitFor({ state: "detached" });
    await walk.settled(page);
    walk.assert.equal(await field(page).inputValue(), "11d");
    await save(page).click();
    await page.getByRole("status").filter({ hasText: t("common:saved") }).waitFor();
    await restore(walk);
  },

  "what the file owns is read only, and says where it is changed": async (walk) => {
    const page = await walk.open("/settings?q=accounting.prices");
    await row(page, "accounting.prices").getByText(t("owners.file"), { exact: true }).waitFor();
    await row(page, "accounting.prices").getByText(/configuration file sets/).waitFor();
    walk.assert(!(await row(page, "accounting.prices").getByRole("textbox").isEditable()));
  },

  "a webhook is added, tried, and keeps its secrets to itself": async (walk) => {
    await restore(walk);
    const there = await receiver();
    const page = await walk.open("/settings?tab=notifications");
    await page.getByRole("button", { name: t("hooks.add") }).click();
    const form = page.getByRole("dialog");
    await form.getByRole("button", { name: t("common:save") }).click();
    await form.getByText(t("hooks.mistakes.name")).waitFor();
    await form.getByRole("textbox", { name: t("hooks.name") }).fill("harbour");
    await form.getByRole("textbox", { name: t("hooks.url") }).fill(there.url);
    await form.getByRole("button", { name: t("hooks.makeSecret") }).click();
    await form.getByRole("checkbox", { name: new RegExp(t("events.provider_down")) }).check();
    await walk.axe(page);
    await form.getByRole("button", { name: t("common:save") }).click();
    const hook = page.locator("[data-hook=harbour]");
    await hook.getByRole("button", { name: t("hooks.test") }).click();
    await hook.getByText(t("outcomes.delivered")).waitFor();
    walk.assert.equal(there.taken.length, 1);
    walk.assert(/^v1,/.test(there.taken[0].signature), "it is signed");
    walk.assert(!(await page.content()).includes("hidden-part"), "the address is masked");
    await hook.getByRole("button", { name: new RegExp(t("common:edit")) }).click();
    await form.getByRole("checkbox", { name: new RegExp(t("events.quota_reached")) }).check();
    await form.getByRole("button", { name: t("common:save") }).click();
    await form.waitFor({ state: "detached" });
    await hook.getByRole("button", { name: t("hooks.test") }).click();
    await hook.getByText(t("outcomes.delivered")).waitFor();
    walk.assert.equal(there.taken.at(-1).path, "/in/hidden-part");
    await hook.getByRole("button", { name: new RegExp(t("common:delete")) }).click();
    await page.getByRole("dialog").getByRole("button", { name: t("common:delete") }).click();
    await page.getByText(t("hooks.none")).waitFor();
    await there.close();
  },

  "a change that nobody saved is not left behind unasked": async (walk) => {
    const page = await walk.open("/settings");
    await field(page).fill("12d");
    await page.getByRole("tab", { name: t("tabs.backup") }).click();
    await page.getByRole("dialog").getByText(t("common:leave.text")).waitFor();
    await walk.axe(page);
    await page.getByRole("dialog").getByRole("button", { name: t("common:cancel") }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    walk.assert.equal(await field(page).inputValue(), "12d");
    await page.getByRole("tab", { name: t("tabs.notifications") }).click();
    await page.getByRole("dialog").getByRole("button", { name: t("common:leave.do") }).click();
    await page.getByRole("button", { name: t("hooks.add") }).click();
    const form = page.getByRole("dialog");
    await form.getByRole("textbox", { name: t("hooks.name") }).fill("half");
    await page.keyboard.press("Escape");
    await page.getByText(t("common:leave.text")).waitFor();
    await page.getByRole("button", { name: t("common:leave.do") }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  },

  "who replaces the list of webhooks keeps what others have added to it": async (walk) => {
    await restore(walk);
    const page = await walk.open("/settings?tab=notifications");
    await page.getByRole("button", { name: t("hooks.add") }).click();
    const form = page.getByRole("dialog");
    await form.getByRole("textbox", { name: t("hooks.name") }).fill("mine");
    await form.getByRole("textbox", { name: t("hooks.url") }).fill(`${walk.fakes.url}/mine`);
    await walk.api("PATCH", "settings", { notifications: { webhooks: [{ name: "theirs", url: `${walk.fakes.url}/theirs` }] } });
    walk.expect(/answered: 412 PATCH \S+settings/, /console: .*412 .*settings/);
    await form.getByRole("button", { name: t("common:save"), exact: true }).click();
    await form.getByText(t("common:conflict.title")).waitFor();
    await form.getByRole("button", { name: t("common:conflict.replace") }).click();
    await page.locator("[data-hook=theirs]").waitFor();
    await page.locator("[data-hook=mine]").waitFor();
    await restore(walk);
  },

  "A11: a test of an address that never answers is given up": async (walk) => {
    await restore(walk);
    await walk.api("PATCH", "settings", { notifications: { webhooks: [{ name: "mute", url: walk.fakes.silent }] } });
    const page = await walk.open("/settings?tab=notifications");
    const hook = page.locator("[data-hook=mute]");
    await hook.getByRole("button", { name: t("hooks.test") }).click();
    await hook.getByRole("button", { name: t("hooks.giveUp") }).click();
    await hook.getByText(t("hooks.givenUp")).waitFor();
    walk.assert(await hook.getByRole("button", { name: t("hooks.test") }).isEnabled());
    await restore(walk);
  },

  "a proxy's page, and a connection that breaks off, leave everything as it was typed and say what to do": async (walk) => {
    walk.expect(/answered: 502 /, /console: .*502/, /failed: \w+ \S+settings/, /console: .*ERR_/);
    const page = await walk.open("/settings");
    await field(page).fill("13d");
    for (const [answer, words] of [
      [(route) => route.fulfill({ status: 502, contentType: "text/html", body: "<html><h1>Bad gateway</h1></html>" }), "common:problems.status_502"],
      [(route) => route.abort("connectionreset"), "common:problems.offline"],
    ]) {
      await page.route("**/admin/api/settings", (route) => (route.request().method() === "PATCH" ? answer(route) : route.continue()));
      await save(page).click();
      await page.getByRole("alert").getByText(t(words)).waitFor();
      walk.assert.equal(await field(page).inputValue(), "13d");
      await page.unroute("**/admin/api/settings");
    }
    await walk.axe(page);
    await save(page).click();
    await page.getByRole("status").filter({ hasText: t("common:saved") }).waitFor();
    await restore(walk);
  },

  "a backup that fails says why, and can be asked for again": async (walk) => {
    walk.expect(/answered: 500 POST \S+backup/, /console: .*500/, /failed: POST \S+backup/, /console: .*ERR_/);
    const page = await walk.open("/settings?tab=backup");
    const button = page.getByRole("button", { name: t("backup.download"), exact: true });
    const detail = "There is no room for a copy.";
    await page.route("**/admin/api/backup*", (route) => route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ code: "internal", title: "It went wrong", detail, status: 500 }) }));
    await button.click();
    await page.getByRole("alert").getByText(detail).waitFor();
    await walk.axe(page);
    await page.unroute("**/admin/api/backup*");
    await page.route("**/admin/api/backup*", (route) => route.abort("connectionreset"));
    await button.click();
    await page.getByRole("alert").getByText(t("common:problems.offline")).waitFor();
    await page.unroute("**/admin/api/backup*");
    await Promise.all([page.waitForEvent("download"), button.click()]);
  },

  "a copy of the database is downloaded": async (walk) => {
    const page = await walk.open("/settings?tab=backup");
    await page.getByText("polyport restore").waitFor();
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: t("backup.download") }).click()]);
    walk.assert(statSync(await saved.path()).size > 10_000, "it is a database");
  },

  "the configuration file is shown without its secrets, with the owners of settings": async (walk) => {
    const page = await walk.open("/settings?tab=configuration");
    await page.locator("pre").getByText("providers:").first().waitFor();
    await page.getByText(new RegExp(`^${t("owners.file")}: \\d+`)).waitFor();
    const { text } = await walk.api("GET", "configuration");
    walk.assert.equal((await page.locator("pre code").count()) >= text.trim().split("\n").length, true);
  },

  "what is not in force is told with its remedy, and leads to where it is mended": async (walk) => {
    const page = await walk.open("/settings?tab=problems");
    await page.getByText(t("problems.none")).or(page.getByText(t("problems.remedy")).first()).first().waitFor();
    await walk.axe(page);
  },

  "it looks right": async (walk) => {
    for (const tab of ["general", "notifications", "backup", "configuration", "problems", "about"]) {
      await walk.look(tab === "general" ? "settings" : `settings-${tab}`, `/settings?tab=${tab}`, { namespace: "settings" });
    }
    await walk.look("settings-phone", "/settings", { namespace: "settings", size: "phone" });
  },
};
