// Providers that are added while somebody else adds one, or of which not everything could be saved.
import { words } from "../walk.mjs";
import { access } from "./40-providers.mjs";

const t = words("en", "providers");

export default {
  "a name that somebody takes meanwhile gets nobody's keys": async (walk) => {
    const page = await walk.open("/providers");
    const dialog = await access(page, { name: "walk-taken", address: walk.fakes.chat, keys: "sk-taken-0123456789" });
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByRole("button", { name: t("next"), exact: true }).click();
    await walk.api("POST", "providers", { name: "walk-taken", protocol: "chat", base_url: walk.fakes.chat });
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.getByText(t("taken.provider", { provider: "walk-taken" })).waitFor();
    await walk.axe(page);
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-taken")).credentials.length, 0);
    await dialog.getByRole("button", { name: t("taken.rename") }).click();
    await dialog.getByLabel(new RegExp(`^${t("access.name")}`)).fill("walk-taken-2");
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByRole("button", { name: t("next"), exact: true }).click();
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.getByText(t("done.untested")).waitFor();
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-taken-2")).credentials.length, 1);
  },

  "what is changed after a pool was not reached is saved as well": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-half-there", protocol: "chat", base_url: walk.fakes.chat });
    await walk.api("POST", "pools", { name: "walk-half-pool", targets: ["walk-half-there/fast-1"] });
    walk.expect(/failed: PATCH/, /console: .*ERR_FAILED/);
    const page = await walk.open("/providers");
    const dialog = await access(page, { name: "walk-half", address: walk.fakes.chat, keys: "sk-half-0123456789" });
    await dialog.getByRole("button", { name: t("access.test") }).click();
    const models = dialog.getByRole("group", { name: t("models.title") });
    await models.getByRole("checkbox", { name: "fast-1", exact: true }).check();
    await dialog.getByRole("button", { name: t("access.test") }).click();
    await dialog.getByRole("button", { name: t("places.more") }).click();
    await page.getByRole("menuitem", { name: "walk-half-pool" }).click();
    await dialog.getByLabel(`${t("places.models")}: walk-half-pool`).click();
    await page.getByRole("option", { name: "fast-1", exact: true }).click();
    await page.keyboard.press("Tab");
    const cut = (route) => (route.request().method() === "PATCH" ? route.abort() : route.fallback());
    await page.route("**/pools/walk-half-pool", cut);
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.getByText(t("partly.title")).waitFor();
    await page.unroute("**/pools/walk-half-pool", cut);
    await dialog.getByRole("button", { name: t("back"), exact: true }).click();
    // Its name and its keys are saved: there is no way back to them.
    walk.assert.equal(await dialog.getByRole("button", { name: t("back"), exact: true }).count(), 0);
    await models.getByRole("checkbox", { name: "deep-1", exact: true }).check();
    await dialog.getByRole("button", { name: t("next"), exact: true }).click();
    await dialog.getByRole("button", { name: t("places.save"), exact: true }).click();
    await dialog.getByText(t("done.title")).waitFor();
    walk.assert.deepEqual((await walk.api("GET", "providers/walk-half")).definition.models, ["fast-1", "deep-1"]);
    walk.assert.deepEqual((await walk.api("GET", "pools/walk-half-pool")).targets.map((one) => one.target), ["walk-half-there/fast-1", "walk-half/fast-1"]);
  },
};
