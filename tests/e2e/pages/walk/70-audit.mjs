// Audit: who changed what, and whether it was done.
import { words } from "../walk.mjs";

const t = words("en", "audit");
const rows = (page) => page.getByRole("table", { name: t("common:screens.audit") }).getByRole("row").filter({ has: page.getByRole("cell") });

/** Something that was done, and something that was refused, by the admin. */
async function deeds(walk) {
  const as = walk.admin;
  const { teams } = await walk.api("GET", "teams?q=watched");
  if (teams.length === 0) await walk.api("POST", "teams", { name: "watched" }, { as });
  await walk.api("PATCH", "teams/watched", { models: ["chat-*"] }, { as });
  await walk.api("POST", "teams", { name: "watched" }, { as, expect: 409 });
}

export default {
  "what was done and what was refused is listed, filtered by the address": async (walk) => {
    await deeds(walk);
    const page = await walk.open("/audit");
    await rows(page).filter({ hasText: "watched" }).first().waitFor();
    await page.getByRole("combobox", { name: t("kind") }).click();
    await page.getByRole("option", { name: t("kinds.teams"), exact: true }).click();
    await page.waitForURL(/object_kind=teams/);
    await rows(page).filter({ hasText: t("refused", { status: 409 }) }).first().waitFor();
    await page.getByRole("textbox", { name: t("actor") }).fill("nobody of this name");
    await page.getByText(t("noneFits")).waitFor();
    await walk.axe(page);
    await page.getByRole("button", { name: t("clear") }).first().click();
    await rows(page).first().waitFor();
    walk.assert(!page.url().includes("?"), page.url());
  },

  "an entry tells what was given, from where, and leads to what was changed": async (walk) => {
    await deeds(walk);
    const page = await walk.open("/audit?action=changeTeam&object=watched");
    await rows(page).first().click();
    const drawer = page.getByRole("dialog");
    await drawer.getByText("chat-*").waitFor();
    await drawer.getByText(/^req_/).waitFor();
    await walk.axe(page);
    await drawer.getByRole("link", { name: "watched" }).click();
    await page.waitForURL(/\/teams\?id=watched/);
  },

  "it looks right": async (walk) => {
    await deeds(walk);
    await walk.look("audit", "/audit");
    await walk.look("audit-entry", "/audit?action=changeTeam", { namespace: "audit", act: (page) => page.getByRole("table").getByRole("row").nth(1).click() });
  },
};
