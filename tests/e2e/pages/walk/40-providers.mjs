// Providers: from an address and a key to a model that answers, in one dialog; how one is changed, and what keeps it from being deleted.
import { words } from "../walk.mjs";

const t = words("en", "providers");

/** The dialog, with the step of access filled in. */
export async function access(page, { name, address, keys }) {
  await page.getByRole("button", { name: t("add"), exact: true }).first().click();
  const dialog = page.getByRole("dialog", { name: t("addTitle") });
  await dialog.getByRole("button", { name: new RegExp(t("service.custom")) }).click();
  await dialog.getByRole("textbox", { name: t("access.address") }).fill(address);
  await dialog.getByRole("textbox", { name: t("access.name"), exact: false }).last().waitFor();
  await dialog.getByLabel(new RegExp(`^${t("access.name")}`)).fill(name);
  await dialog.getByRole("textbox", { name: t("access.keys") }).fill(keys);
  return dialog;
}

export default {
  "S3: URL and key, a real test, models ticked and assigned, and the model answers": async (walk) => {
    const page = await walk.open("/providers");
    const dialog = await access(page, { name: "walk-flow", address: walk.fakes.chat, keys: "sk-walk-flow-0123456789a\nsk-walk-flow-0123456789b" });
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("access.test") }).click();
    const models = dialog.getByRole("group", { name: t("models.title") });
    await models.getByRole("checkbox", { name: "fast-1", exact: true }).check();
    await models.getByRole("checkbox", { name: "deep-1", exact: true }).check();
    await dialog.getByRole("button", { name: `${t("models.ask")}: fast-1` }).click();
    await dialog.getByText(/^It answers/).waitFor();
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("next") }).click();
    const alias = "walk-alias-of-flow";
    await dialog.getByRole("button", { name: t("places.more") }).click();
    await page.getByRole("menuitem", { name: t("places.new") }).click();
    await dialog.getByRole("textbox", { name: t("places.name"), exact: true }).fill(alias);
    await dialog.getByLabel(`${t("places.models")}: ${t("places.new")}`).click();
    await page.getByRole("option", { name: "fast-1", exact: true }).click();
    await page.keyboard.press("Tab");
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.getByText(t("done.title")).waitFor();
    await dialog.getByText(new RegExp(`curl .*/v1/chat/completions`)).waitFor();
    await walk.axe(page);
    const text = await page.content();
    walk.assert(!text.includes("sk-walk-flow"), "the keys are in the page no more");
    const { credentials } = await walk.api("GET", "credentials?provider=walk-flow");
    walk.assert.equal(credentials.length, 2);
    const pool = await walk.api("GET", `pools/${alias}`);
    walk.assert.deepEqual(pool.targets.map((target) => target.target), ["walk-flow/fast-1"]);
    const answer = await walk.client("chat", alias, "Hello");
    walk.assert.equal(answer.status, 200);
  },

  "a key that is refused is told with its reason, and what was typed stays": async (walk) => {
    const page = await walk.open("/providers");
    const dialog = await access(page, { name: "walk-refused", address: walk.fakes.chat, keys: "sk-wrong-0123456789" });
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByText(t("try.refused")).waitFor();
    await walk.axe(page);
    walk.assert.equal(await dialog.getByRole("textbox", { name: t("access.keys") }).inputValue(), "sk-wrong-0123456789");
    await dialog.getByRole("button", { name: t("access.untested") }).waitFor();
  },

  "a known service is a card and a key; the model is asked with it before anything is saved": async (walk) => {
    const page = await walk.open("/providers?add=new");
    const dialog = page.getByRole("dialog", { name: t("addTitle") });
    await dialog.getByRole("textbox", { name: t("service.search") }).fill("databricks");
    await dialog.getByRole("button", { name: /^Databricks/ }).click();
    await dialog.getByRole("textbox", { name: t("access.address") }).fill(walk.fakes.chat);
    await dialog.getByRole("textbox", { name: t("access.keys") }).fill("sk-card-0123456789");
    await dialog.getByRole("button", { name: t("access.test") }).click();
    const models = dialog.getByRole("group", { name: t("models.title") });
    // A service that lists its models for anybody: one that refuses to answer is not gone past unasked.
    await models.getByRole("checkbox", { name: "refuse-1", exact: true }).check();
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByText(t("try.refused")).waitFor();
    await dialog.getByRole("button", { name: t("access.untested") }).waitFor();
    await models.getByRole("checkbox", { name: "refuse-1", exact: true }).uncheck();
    await models.getByRole("checkbox", { name: "fast-1", exact: true }).check();
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.getByText(t("done.title")).waitFor();
    const { definition } = await walk.api("GET", "providers/databricks");
    walk.assert.equal(definition.preset, "databricks");
    walk.assert.equal(walk.fakes.last("chat").key, "sk-card-0123456789");
  },

  "the JSON of OAuth accounts brings its client along": async (walk) => {
    const page = await walk.open("/providers?add=new");
    const dialog = page.getByRole("dialog", { name: t("addTitle") });
    await dialog.getByRole("textbox", { name: t("service.search") }).fill("antigravity");
    await dialog.getByRole("button", { name: /Antigravity accounts/ }).click();
    await dialog.getByLabel(new RegExp(`^${t("access.name")}`)).fill("walk-google");
    await dialog.getByLabel(t("access.needs.oauth_token_url")).fill(walk.fakes.token);
    const accounts = { provider: "another", oauth_config: { client_id: "walk-client", client_secret: "walk-client-secret" }, projects: [{ project_id: "p-1", refresh_token: "spoiled-walk-google-1" }, { project_id: "p-2", refresh_token: "spoiled-walk-google-2" }] };
    await dialog.getByRole("textbox", { name: t("access.accounts") }).fill(JSON.stringify(accounts));
    await dialog.getByRole("button", { name: t("access.test") }).click();
    // Its tokens are refused by the token endpoint: that is the reason told, not a form that is not filled in.
    await dialog.getByText(t("try.refused")).waitFor();
    walk.assert.equal(await dialog.getByLabel(t("access.needs.oauth_client_id")).inputValue(), "walk-client");
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("access.untested") }).click();
    await dialog.getByRole("button", { name: t("next"), exact: true }).click();
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    // Nothing has shown that it serves.
    await dialog.getByText(t("done.untested")).waitFor();
    await walk.axe(page);
    walk.assert.equal((await walk.api("GET", "providers/walk-google")).definition.oauth.client_id, "walk-client");
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-google")).credentials.length, 2);
    walk.assert(!(await page.content()).includes("walk-client-secret"), "the secret is in the page no more");
  },

  "going back while a test runs stays there": async (walk) => {
    const page = await walk.open("/providers");
    walk.expect(/failed: .*providers\/try/, /providers\/try.*(abort|ABORTED)/i);
    const dialog = await access(page, { name: "walk-back", address: walk.fakes.silent, keys: "sk-back-0123456789" });
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByText(t("try.running")).waitFor();
    await dialog.getByRole("button", { name: t("back"), exact: true }).click();
    await dialog.getByRole("button", { name: new RegExp(t("service.custom")) }).click();
    walk.assert.equal(await dialog.getByRole("textbox", { name: t("access.keys") }).inputValue(), "sk-back-0123456789");
    walk.assert.equal(await dialog.getByText(t("try.running")).count(), 0);
  },

  "a provider that is there is tested, and its models are chosen and assigned": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-there", protocol: "chat", base_url: walk.fakes.chat, models: ["deep-1"] });
    await walk.api("POST", "credentials", { provider: "walk-there", key: "sk-there-0123456789" });
    const page = await walk.open("/providers?open=walk-there");
    const drawer = page.getByRole("dialog", { name: "walk-there" });
    await drawer.getByRole("button", { name: t("actions.test"), exact: true }).click();
    await drawer.getByText(/^It answers/).waitFor();
    await drawer.getByRole("tab", { name: t("tabs.models") }).click();
    await drawer.getByRole("button", { name: `${t("models.ask")}: deep-1` }).click();
    await drawer.getByText(/^It answers/).waitFor();
    await walk.axe(page);
    await drawer.getByRole("button", { name: t("models.choose") }).click();
    const dialog = page.getByRole("dialog", { name: t("models.choose") });
    const models = dialog.getByRole("group", { name: t("models.title") });
    await models.getByRole("checkbox", { name: "fast-1", exact: true }).check();
    await models.getByRole("checkbox", { name: "tool-1", exact: true }).check();
    await models.getByRole("checkbox", { name: "deep-1", exact: true }).uncheck();
    // Somebody else offers one more meanwhile: it stays.
    await walk.api("PATCH", "providers/walk-there", { models: ["deep-1", "slow-1"] });
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: t("common:leave.title") }).getByRole("button", { name: t("common:cancel") }).click();
    await dialog.getByRole("button", { name: t("next"), exact: true }).click();
    await dialog.getByRole("button", { name: t("places.more") }).click();
    await page.getByRole("menuitem", { name: t("places.new") }).click();
    await dialog.getByRole("textbox", { name: t("places.name"), exact: true }).fill("walk-there-pool");
    await dialog.getByLabel(`${t("places.models")}: ${t("places.new")}`).click();
    await page.getByRole("option", { name: "fast-1", exact: true }).click();
    await page.keyboard.press("Tab");
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.waitFor({ state: "detached" });
    walk.assert.deepEqual((await walk.api("GET", "providers/walk-there")).definition.models, ["slow-1", "fast-1", "tool-1"]);
    walk.assert.deepEqual((await walk.api("GET", "pools/walk-there-pool")).targets.map((one) => one.target), ["walk-there/fast-1"]);
  },

  "a list of models that never comes is given up, and names are written instead": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-mute", protocol: "chat", base_url: walk.fakes.silent });
    await walk.api("POST", "credentials", { provider: "walk-mute", key: "sk-mute-0123456789" });
    walk.expect(/failed: .*providers\/try/, /providers\/try.*(abort|ABORTED)/i);
    const page = await walk.open("/providers?open=walk-mute&tab=models");
    await page.getByRole("dialog", { name: "walk-mute" }).getByRole("button", { name: t("models.choose") }).click();
    const dialog = page.getByRole("dialog", { name: t("models.choose") });
    await dialog.getByText(/^[1-9]\d* seconds? so far/).waitFor();
    await dialog.getByRole("button", { name: t("common:cancel"), exact: true }).click();
    await dialog.getByText(t("models.givenUp")).waitFor();
    walk.assert.equal(await dialog.getByText(t("models.noList")).count(), 0);
  },

  "one is switched off and on, and deleted with its keys, which can be stopped half way": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-gone", protocol: "chat", base_url: walk.fakes.chat });
    await walk.api("POST", "import", { credentials: Array.from({ length: 12 }, (_, n) => ({ provider: "walk-gone", key: `sk-gone-0123456789-${n}` })) });
    walk.expect(/answered: 409 DELETE/, /console: .*409/, /answered: 404 GET \S+\/providers\/walk-gone/, /console: .*404.*walk-gone/);
    const page = await walk.open("/providers?open=walk-gone");
    const drawer = page.getByRole("dialog", { name: "walk-gone" });
    await drawer.getByRole("switch").click({ force: true });
    await page.getByText(t("actions.disabled", { name: "walk-gone" })).waitFor();
    walk.assert.equal((await walk.api("GET", "providers/walk-gone")).enabled, false);
    await drawer.getByRole("switch").click({ force: true });
    await page.getByText(t("actions.enabled", { name: "walk-gone" })).waitFor();
    walk.assert.equal((await walk.api("GET", "providers/walk-gone")).enabled, true);
    await walk.settled(page);
    await drawer.getByRole("button", { name: t("common:delete") }).click();
    const confirm = page.getByRole("dialog", { name: t("delete.title", { name: "walk-gone" }) });
    await confirm.getByRole("button", { name: t("common:delete"), exact: true }).click();
    await confirm.getByText(t("delete.needed")).waitFor();
    await confirm.getByLabel(t("delete.keysToo_other", { count: 12 })).check();
    // Three are gone, and those under way after them come to their end once no more are wanted.
    let asked = 0;
    const held = [];
    const hold = (route) => ((asked += 1) <= 3 ? route.fallback() : held.push(route));
    await page.route("**/admin/api/credentials/*", hold);
    await confirm.getByRole("button", { name: t("delete.withKeys") }).click();
    await confirm.getByText(/^Deleting its credentials: 3/).waitFor();
    await confirm.getByRole("button", { name: t("common:cancel"), exact: true }).click();
    for (const route of held) await route.fallback();
    await confirm.getByText(/The provider is still there/).waitFor();
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-gone")).credentials.length, 12 - 3 - held.length);
    walk.assert(held.length > 0 && held.length < 9, `${held.length} were under way`);
    await page.unroute("**/admin/api/credentials/*", hold);
    await confirm.getByRole("button", { name: t("delete.withKeys") }).click();
    await page.getByText(t("delete.done", { name: "walk-gone" })).waitFor();
    await walk.api("GET", "providers/walk-gone", undefined, { expect: 404 });
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-gone")).credentials.length, 0);
  },

  "a save that is cut off or answered 500 keeps what was typed": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-cut", protocol: "chat", base_url: walk.fakes.chat, models: ["fast-1"] });
    walk.expect(/answered: 500 PATCH/, /console: .*(500|ERR_FAILED)/, /failed: PATCH/);
    const page = await walk.open("/providers?open=walk-cut&tab=definition");
    const drawer = page.getByRole("dialog", { name: "walk-cut" });
    const field = drawer.getByLabel(t("definition.requests"));
    await field.fill("9");
    const save = drawer.getByRole("button", { name: t("common:save"), exact: true });
    for (const how of [(route) => route.abort(), (route) => route.fulfill({ status: 500, body: "<h1>oops</h1>" })]) {
      const once = (route) => (route.request().method() === "PATCH" ? how(route) : route.fallback());
      await page.route("**/providers/walk-cut", once);
      await save.click();
      await drawer.getByRole("alert").waitFor();
      walk.assert.equal(await field.inputValue(), "9");
      await page.unroute("**/providers/walk-cut", once);
    }
    await walk.axe(page);
    await save.click();
    await page.getByText(t("common:saved")).waitFor();
    walk.assert.equal((await walk.api("GET", "providers/walk-cut")).definition.requests, 9);
  },

  "settings that were typed are not left by mistake": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-typed", protocol: "chat", base_url: walk.fakes.chat });
    const page = await walk.open("/providers?q=walk-typed");
    await page.getByRole("row", { name: /walk-typed/ }).click();
    const drawer = page.getByRole("dialog", { name: "walk-typed" });
    await drawer.getByRole("tab", { name: t("tabs.definition") }).click();
    const field = drawer.getByLabel(t("definition.requests"));
    await field.fill("11");
    const asks = page.getByRole("dialog", { name: t("common:leave.title") });
    const ways = [() => page.keyboard.press("Escape"), () => drawer.getByRole("tab", { name: t("tabs.overview") }).click(), () => drawer.getByRole("button", { name: t("common:close") }).click()];
    for (const leave of ways) {
      await leave();
      await asks.getByRole("button", { name: t("common:cancel") }).click();
      await asks.waitFor({ state: "detached" });
      walk.assert.equal(await field.inputValue(), "11");
    }
    await drawer.getByRole("tab", { name: t("tabs.overview") }).click();
    await asks.getByRole("button", { name: t("common:leave.do") }).click();
    await drawer.getByRole("button", { name: t("actions.test"), exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    await page.waitForURL(/\/providers\?q=walk-typed$/);
  },

  "a provider that never answers can be given up, and what was typed stays": async (walk) => {
    const page = await walk.open("/providers");
    const dialog = await access(page, { name: "walk-silent", address: walk.fakes.silent, keys: "sk-silent-0123456789" });
    // What the reader gives up ends without an answer.
    walk.expect(/failed: .*providers\/try/, /providers\/try.*(abort|ABORTED)/i);
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByText(/^[1-9]\d* seconds? so far/).waitFor();
    await dialog.getByRole("button", { name: t("common:cancel"), exact: true }).click();
    await dialog.getByText(t("try.given")).waitFor();
    walk.assert.equal(await dialog.getByRole("textbox", { name: t("access.address") }).inputValue(), walk.fakes.silent);
    walk.assert.equal(await dialog.getByRole("textbox", { name: t("access.keys") }).inputValue(), "sk-silent-0123456789");
  },

  "a change that somebody else made meanwhile is told, and decided by the reader": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-conflict", protocol: "chat", base_url: walk.fakes.chat, models: ["fast-1"] });
    const page = await walk.open("/providers?open=walk-conflict&tab=definition");
    const drawer = page.getByRole("dialog");
    await drawer.getByLabel(t("definition.requests")).fill("7");
    await walk.api("PATCH", "providers/walk-conflict", { requests: 3 });
    walk.expect(/answered: 412 PATCH/, /console: .*412/);
    await drawer.getByRole("button", { name: t("common:save"), exact: true }).click();
    await drawer.getByText(t("common:conflict.title")).waitFor();
    await walk.axe(page);
    walk.assert.equal(await drawer.getByLabel(t("definition.requests")).inputValue(), "7");
    await drawer.getByRole("button", { name: t("common:conflict.replace") }).click();
    await drawer.getByText(t("common:conflict.title")).waitFor({ state: "detached" });
    walk.assert.equal((await walk.api("GET", "providers/walk-conflict")).definition.requests, 7);
  },

  "what others need is not deleted, and they are named": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-needed", protocol: "chat", base_url: walk.fakes.chat });
    await walk.api("POST", "pools", { name: "walk-needs-it", targets: ["walk-needed/fast-1"] });
    walk.expect(/answered: 409 DELETE/, /console: .*409/);
    const page = await walk.open("/providers?open=walk-needed");
    await page.getByRole("dialog").getByRole("button", { name: t("common:delete") }).click();
    const confirm = page.getByRole("dialog", { name: t("delete.title", { name: "walk-needed" }) });
    await confirm.getByRole("button", { name: t("common:delete"), exact: true }).click();
    await confirm.getByRole("link", { name: "walk-needs-it" }).waitFor();
    await walk.axe(page);
  },

  "it looks right": async (walk) => {
    await walk.look("providers", "/providers");
    await walk.look("provider", "/providers?open=walk-flow", { namespace: "providers" });
    await walk.look("provider-models", "/providers?open=walk-flow&tab=models", { namespace: "providers" });
    await walk.look("provider-add", "/providers?add=new", { namespace: "providers" });
    await walk.look("providers-phone", "/providers", { namespace: "providers", size: "phone" });
  },
};
