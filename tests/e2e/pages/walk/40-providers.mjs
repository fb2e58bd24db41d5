// Providers: from an address and a key to a model that answers, in one dialog; how one is changed, and what keeps it from being deleted.
import { words } from "../walk.mjs";

const t = words("en", "providers");

/** The dialog, with the step of access filled in. */
async function access(page, { name, address, keys }) {
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
