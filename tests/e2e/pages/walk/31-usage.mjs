// Usage and cost: by whom, of what, compared with before, and as a file.
import { readFileSync } from "node:fs";

import { words } from "../walk.mjs";

const t = words("en", "usage");
const table = (page) => page.getByRole("table", { name: t("common:screens.usage") });

/** Requests of somebody, once they are summed up. */
async function used(walk) {
  const user = await walk.user("bookkeeper", "member");
  const key = await walk.key("ledger", { user: user.name });
  await walk.client("chat", "chat-fast-1", "hello", { key });
  await walk.client("messages", "messages-fast-1", "hello", { key });
  for (const until = Date.now() + 20_000; ; ) {
    const { rows } = await walk.api("GET", "usage?by=key,model&period=hour");
    const own = rows.filter((row) => row.key_name === "ledger");
    if (own.length >= 2) return { user, own };
    walk.assert(Date.now() < until, "the sums have both models");
  }
}

export default {
  "what was used is told by what is asked for, drawn and in a table, and opens row by row": async (walk) => {
    await used(walk);
    const page = await walk.open("/usage?range=24h&by=key");
    const row = table(page).getByRole("row", { name: /ledger/ });
    await row.waitFor();
    await row.getByText(/\$/).waitFor();
    await page.getByRole("region", { name: t("cost"), exact: true }).locator("canvas").waitFor();
    await walk.axe(page);
    await row.click();
    await page.waitForURL(/of_key=/);
    await table(page).getByRole("row", { name: /messages-fast-1/ }).waitFor();
    await page.getByRole("button", { name: new RegExp(`${t("by.key")}: ledger`) }).click();
    await page.waitForURL((url) => !url.searchParams.has("of_key"));
    await table(page).getByRole("button", { name: t("requests") }).click();
    await table(page).getByRole("columnheader", { name: t("requests") }).and(page.locator("[aria-sort]")).waitFor();
  },

  "it is compared with the time before, and handed out as CSV": async (walk) => {
    const { own } = await used(walk);
    const page = await walk.open("/usage?range=24h&by=key,model");
    await page.getByRole("switch", { name: t("compare") }).press("Space");
    await page.waitForURL(/compare=1/);
    await table(page).getByRole("columnheader", { name: t("change") }).waitFor();
    await table(page).getByText(new RegExp(t("new"))).first().waitFor();
    await walk.axe(page);
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: t("export") }).click()]);
    const [head, ...rows] = readFileSync(await saved.path(), "utf8").replace("\uFEFF", "").trim().split("\r\n").map((line) => line.split(","));
    const found = rows.filter((row) => row[head.indexOf("key")] === "ledger");
    walk.assert.equal(found.length, own.length);
    walk.assert.equal(found.every((row) => row[head.indexOf("cost_USD")] !== "" && row[head.indexOf("before_requests")] === "0"), true);
  },

  "the month that runs is compared with as much of the month before": async (walk) => {
    await used(walk);
    const page = await walk.open("/usage?compare=1");
    await page.getByRole("button", { name: t("thisMonth") }).click();
    await page.getByText(t("runningOwn")).waitFor();
    await page.getByText(new RegExp(t("beforeWas", { value: "" }))).first().waitFor();
    await walk.axe(page);
  },

  "absurd times in the address are passed over or bounded": async (walk) => {
    await used(walk);
    const page = await walk.open("/usage?range=9e99&from=yesterday&to=9e999&period=eon&compare=1");
    await table(page).getByRole("row", { name: /chat-fast-1/ }).waitFor();
    await walk.go(page, "/usage?from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z&period=minute&compare=1");
    await table(page).getByRole("row", { name: /chat-fast-1/ }).waitFor();
    await walk.go(page, "/usage?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z");
    await table(page).getByRole("row", { name: /chat-fast-1/ }).waitFor();
  },

  "a time without anything says what to do": async (walk) => {
    const page = await walk.open("/usage?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z");
    await page.getByText(t("nothingText")).waitFor();
    await walk.axe(page);
  },

  "members see their own, and no groupings that are not theirs": async (walk) => {
    const { user } = await used(walk);
    const page = await walk.open("/usage?range=24h&by=credential", { as: user });
    await table(page).getByRole("row", { name: /chat-fast-1/ }).waitFor();
    await page.getByRole("combobox", { name: t("groupBy") }).press("ArrowDown");
    await page.getByRole("option", { name: t("by.key") }).waitFor();
    walk.assert.equal(await page.getByRole("option", { name: t("by.credential") }).count(), 0);
    walk.assert.equal(await page.getByRole("option", { name: t("by.user") }).count(), 0);
  },

  "it looks right": async (walk) => {
    await used(walk);
    const ready = (page) => page.locator("canvas").first().waitFor();
    await walk.look("usage", "/usage?range=24h&by=model&compare=1", { act: ready });
    await walk.look("usage-phone", "/usage?range=24h&by=model", { act: ready, namespace: "usage", size: "phone" });
  },
};
