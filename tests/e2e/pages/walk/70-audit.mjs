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
    await drawer.getByRole("button", { name: `${t("only")}: ${t("object")}` }).click();
    await page.waitForURL(/object_kind=teams/);
    await rows(page).first().click();
    await drawer.getByRole("link", { name: "watched" }).click();
    await page.waitForURL(/\/teams\?id=watched/);
  },

  "a list of several pages is read on as one scrolls, and an entry opens wherever it is": async (walk) => {
    await deeds(walk);
    const { audit: known } = await walk.api("GET", "audit?limit=500");
    for (let more = known.length; more < 130; more += 1) await walk.api("PATCH", "teams/watched", { models: [`chat-${more}`] });
    const page = await walk.open("/audit");
    const foot = page.getByRole("status").filter({ hasText: /\d rows/ });
    walk.assert.equal(await foot.textContent(), t("common:table.more_other", { count: 100 }));
    const box = page.getByRole("region", { name: t("common:screens.audit") });
    for (let rows = 100; (await foot.textContent()) === t("common:table.more_other", { count: rows }); rows += 100) {
      await box.evaluate((box) => (box.scrollTop = box.scrollHeight));
      await foot.getByText(t("common:table.more_other", { count: rows }), { exact: true }).waitFor({ state: "detached" });
    }
    walk.assert.match(await foot.textContent(), /^[1-9]\d{2} rows$/);
    const oldest = known.at(-1);
    await walk.go(page, `/audit?id=${oldest.id}&at=${oldest.at}`);
    await page.getByRole("dialog").getByText(oldest.request).waitFor();
    await walk.go(page, `/audit?id=gone&at=${oldest.at}`);
    await page.getByRole("dialog").getByText(t("gone")).waitFor();
    await walk.axe(page);
  },

  "A11: a proxy's page in place of the list, or no answer, is told, and asking again mends it": async (walk) => {
    walk.expect(/answered: 502 GET \S+audit/, /console: .*502/, /failed: GET \S+audit/, /console: .*ERR_/);
    const page = await walk.open("/account");
    for (const [answer, words] of [
      [(route) => route.fulfill({ status: 502, contentType: "text/html", body: "<html><h1>Bad gateway</h1></html>" }), "common:problems.status_502"],
      [(route) => route.abort("connectionreset"), "common:problems.offline"],
    ]) {
      await page.route("**/admin/api/audit*", answer);
      await walk.go(page, "/audit?object=watched");
      await page.getByRole("alert").getByText(t(words)).waitFor();
      await walk.axe(page);
      await page.unroute("**/admin/api/audit*");
      await page.getByRole("button", { name: t("common:again") }).click();
      await rows(page).first().waitFor();
      walk.assert(page.url().includes("object=watched"), page.url());
    }
  },

  "it looks right": async (walk) => {
    await deeds(walk);
    await walk.look("audit", "/audit");
    await walk.look("audit-entry", "/audit?action=changeTeam", { namespace: "audit", act: (page) => page.getByRole("table").getByRole("row").nth(1).click() });
  },
};
