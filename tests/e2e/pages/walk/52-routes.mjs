// Routes: rules that look at requests, in the order in which they are asked.
import { words } from "../walk.mjs";

const t = words("en", "routes");

export default {
  "a route is made with headers and a target, tried, changed and deleted": async (walk) => {
    const page = await walk.open("/routes");
    await page.getByRole("button", { name: t("make") }).first().click();
    const editor = page.getByRole("dialog", { name: t("make") });
    await editor.getByRole("combobox", { name: t("form.model"), exact: true }).fill("walk-route-*");
    await editor.getByRole("button", { name: t("form.headerAdd") }).click();
    await editor.getByRole("textbox", { name: t("form.headerName", { at: 1 }) }).fill("X-Team");
    await editor.getByRole("textbox", { name: t("form.headerValue", { at: 1 }) }).fill("walkers-*");
    await editor.getByRole("combobox", { name: t("form.to"), exact: true }).fill("file-chat/chat-fast-1");
    await editor.getByText(t("form.isFirst")).waitFor();
    await walk.axe(page);
    await editor.getByRole("button", { name: t("create") }).click();
    await editor.waitFor({ state: "detached" });
    const row = page.getByRole("row", { name: /walk-route-\*/ });
    await row.getByText("x-team").waitFor();
    await row.getByText(t("first")).waitFor();

    await row.click();
    const open = page.getByRole("dialog");
    await open.getByRole("button", { name: t("try.do") }).click();
    await open.getByText(t("try.mine")).waitFor();
    await open.getByRole("button", { name: new RegExp(t("rare.title")) }).click();
    await open.getByRole("textbox", { name: t("rare.attempts"), exact: true }).fill("7");
    await open.getByRole("textbox", { name: t("rare.patience") }).fill("soon");
    await open.getByText(t("rare.noTime")).waitFor();
    await open.getByRole("textbox", { name: t("rare.patience") }).fill("90s");
    await walk.axe(page);
    await open.getByRole("button", { name: t("common:save"), exact: true }).click();
    await open.waitFor({ state: "detached" });
    const { routes } = await walk.api("GET", "routes");
    const made = routes.find((route) => route.match?.model === "walk-route-*");
    walk.assert.deepEqual(made.definition.retry, { attempts: 7, patience: "90s" });
    walk.assert.deepEqual(made.match.header, { "x-team": "walkers-*" });

    await row.click();
    await page.getByRole("dialog").getByRole("button", { name: t("common:delete") }).click();
    await page.getByRole("dialog", { name: t("remove.title") }).getByRole("button", { name: t("common:delete") }).click();
    await row.waitFor({ state: "detached" });
  },

  "a route that is switched off stands behind those in force": async (walk) => {
    await walk.api("POST", "routes", { name: "walk-off", match: { model: "walk-off" }, to: "file-chat" });
    const page = await walk.open("/routes?q=walk-off");
    const toggle = page.getByRole("switch", { name: t("turn", { name: "walk-off" }) });
    await toggle.click({ force: true });
    await page.getByRole("row", { name: /walk-off/ }).getByText(t("common:disabled"), { exact: true }).waitFor();
    const { routes } = await walk.api("GET", "routes");
    walk.assert.equal(routes.find((route) => route.name === "walk-off").enabled, false);
  },

  "switching a route within its editor is no conflict with oneself": async (walk) => {
    const made = await walk.api("POST", "routes", { name: "walk-switch", match: { model: "walk-switch" }, to: "file-chat" });
    const page = await walk.open(`/routes?open=${made.id}`);
    const open = page.getByRole("dialog");
    await open.getByRole("switch", { name: t("inUse") }).click({ force: true });
    await page.waitForFunction(() => document.querySelector("[role=dialog] [role=switch]:not(:checked):not(:disabled)"));
    await open.getByRole("combobox", { name: t("form.to"), exact: true }).fill("file-gemini");
    await open.getByRole("button", { name: t("common:save"), exact: true }).click();
    await open.waitFor({ state: "detached" });
    const { routes } = await walk.api("GET", "routes");
    const now = routes.find((route) => route.name === "walk-switch");
    walk.assert.deepEqual([now.enabled, now.definition.to], [false, "file-gemini"]);
  },

  "somebody else's change is shown when asked for": async (walk) => {
    walk.expect(/answered: 412 PATCH/, /console: .*412/);
    const made = await walk.api("POST", "routes", { name: "walk-conflict", match: { model: "walk-conflict" }, to: "file-chat" });
    const page = await walk.open(`/routes?open=${made.id}`);
    const open = page.getByRole("dialog");
    await open.getByRole("combobox", { name: t("form.to"), exact: true }).fill("file-gemini");
    await walk.api("PATCH", `routes/${made.id}`, { to: "file-messages" });
    await open.getByRole("button", { name: t("common:save"), exact: true }).click();
    await open.getByText(t("common:conflict.title")).waitFor();
    await open.getByRole("button", { name: t("common:conflict.take") }).click();
    await open.getByText(t("common:conflict.title")).waitFor({ state: "detached" });
    walk.assert.equal(await open.getByRole("combobox", { name: t("form.to"), exact: true }).inputValue(), "file-messages");
  },

  "it looks right": async (walk) => {
    await walk.look("routes", "/routes");
    await walk.look("routes-new", "/routes?open=new", { namespace: "routes", act: (page, t) => page.getByRole("button", { name: new RegExp(t("rare.title")) }).click() });
    await walk.look("routes-phone", "/routes", { namespace: "routes", size: "phone" });
  },
};
