// The token pool: accounts in the words of those who looked after refresh tokens before.
import { words } from "../walk.mjs";

const t = words("en", "tokens");
const c = words("en", "credentials");

export default {
  "tokens are imported, and it shows at once which are good": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-accounts", protocol: "chat", base_url: walk.fakes.chat, oauth: { token_url: walk.fakes.token, client_id: "walk" } });
    const page = await walk.open("/tokens");
    await page.getByRole("button", { name: t("add"), exact: true }).first().click();
    const dialog = page.getByRole("dialog", { name: c("import.tokensTitle") });
    await dialog.getByPlaceholder(c("import.providerOnly")).click();
    await page.getByRole("option", { name: "walk-accounts", exact: true }).click();
    await dialog.getByRole("textbox", { name: c("import.text") }).fill("good-walk-0123456789a\ngood-walk-0123456789b\nspoiled-walk-0123456789");
    await walk.axe(page);
    await dialog.getByRole("button", { name: c("import.start"), exact: true }).click();
    await dialog.getByText(c("import.phase.done", { done: 3, total: 3 })).waitFor();
    await dialog.getByText(c("import.hydrated_other", { count: 2 })).waitFor();
    await dialog.getByText(c("import.notHydrated_one", { count: 1 })).waitFor();
    await walk.axe(page);
    await dialog.getByRole("button", { name: c("import.close"), exact: true }).last().click();
    await page.getByRole("row").filter({ hasText: t("statuses.blocked") }).first().waitFor();
    walk.assert(!(await page.content()).includes("good-walk-0123456789a"));
  },

  "one is switched off, checked, and what was done stands among the events": async (walk) => {
    const page = await walk.open("/tokens?status=active");
    await page.getByRole("button", { name: new RegExp(`^${t("columns.actions")}`) }).first().click();
    await page.getByRole("menuitem", { name: t("acts.health") }).click();
    await page.getByText(/is healthy$/).first().waitFor();
    await page.getByRole("button", { name: new RegExp(`^${t("columns.actions")}`) }).first().click();
    await page.getByRole("menuitem", { name: t("acts.disable") }).click();
    await page.getByRole("dialog", { name: t("disable.title") }).getByRole("button", { name: t("acts.disable"), exact: true }).click();
    await page.getByText(/is switched off$/).first().waitFor();
    await page.getByRole("tab", { name: t("tabs.events") }).click();
    await page.getByRole("row").nth(2).waitFor();
    await walk.axe(page);
  },

  "several are deleted only after their number was typed": async (walk) => {
    const before = (await walk.api("GET", "tokens")).data.length;
    const page = await walk.open("/tokens");
    await page.getByRole("checkbox", { name: t("common:table.selectAll") }).check();
    await page.getByRole("button", { name: t("delete.picked_other", { count: before }) }).click();
    const dialog = page.getByRole("dialog", { name: t("delete.title_other", { count: before }) });
    const button = dialog.getByRole("button", { name: t("common:delete"), exact: true });
    walk.assert(await button.isDisabled());
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("common:cancel"), exact: true }).click();
    walk.assert.equal((await walk.api("GET", "tokens")).data.length, before);
  },

  "it looks right": async (walk) => {
    await walk.look("tokens", "/tokens");
    await walk.look("tokens-phone", "/tokens", { namespace: "tokens", size: "phone" });
  },
};
