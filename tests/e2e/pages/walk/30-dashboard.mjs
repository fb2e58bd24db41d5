// Dashboard: what happens now, how it went, and what needs a hand.
import { readFileSync } from "node:fs";

import { words } from "../walk.mjs";

const t = words("en", "dashboard");
const plot = (page, name) => page.getByRole("region", { name, exact: true });

/** Some requests of clients, one of which goes wrong. */
async function traffic(walk) {
  const key = await walk.key("tide");
  for (const model of ["chat-fast-1", "messages-fast-1", "chat-fast-1"]) await walk.client("chat", model, "hello", { key, stream: true });
  await walk.client("chat", "chat-broken-1", "hello", { key });
  // Sums are written a moment after requests have ended.
  for (const until = Date.now() + 20_000; ; ) {
    const { total } = await walk.api("GET", `overview?from=${Date.now() - 900_000}`);
    if (total.ok >= 3 && total.failed >= 1) return total;
    walk.assert(Date.now() < until, `the overview has ${JSON.stringify(total)}`);
  }
}

export default {
  "what happens is seen as it happens, with how each provider fares": async (walk) => {
    const page = await walk.open("/");
    const live = page.getByRole("region", { name: t("live.title"), exact: true });
    await live.getByText(t("live.live"), { exact: true }).waitFor();
    await traffic(walk);
    // Requests of the last ten seconds, then those of the last five minutes.
    await live.getByText(/^[1-9]\d* errors?$/).waitFor();
    const provider = page.getByRole("region", { name: t("providers.title") }).getByRole("link", { name: /file-chat/ });
    await provider.waitFor();
    await walk.axe(page);
    await provider.click();
    await page.waitForURL(/\/providers\?/);
  },

  "figures over time are exact under the pointer and the keys, zoomed by dragging, and taken away as CSV": async (walk) => {
    const total = await traffic(walk);
    const page = await walk.open("/?range=15m");
    const requests = plot(page, t("requests"));
    await requests.getByRole("button", { name: t("failed") }).waitFor();
    await requests.locator("canvas").waitFor();
    await requests.getByRole("group", { name: t("requests") }).focus();
    await page.keyboard.press("End");
    await requests.getByText(/\d:\d{2}:00/).waitFor();
    const [saved] = await Promise.all([page.waitForEvent("download"), requests.getByRole("button", { name: t("common:plot.csv") }).click()]);
    const [head, ...rows] = readFileSync(await saved.path(), "utf8").replace("\uFEFF", "").trim().split("\r\n").map((line) => line.split(","));
    walk.assert.deepEqual(head.slice(0, 3), [t("common:plot.time"), t("ok"), t("failed")]);
    walk.assert(rows.reduce((sum, row) => sum + Number(row[1]), 0) >= total.ok, "all answered requests are in the file");
    await requests.getByRole("button", { name: t("common:plot.table") }).click();
    await requests.getByRole("columnheader", { name: t("failed") }).waitFor();
    await walk.axe(page);
    await requests.getByRole("button", { name: t("common:plot.drawn") }).click();
    const box = await requests.locator(".u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 50, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/from=.*&to=/);
    await walk.settled(page);
    await requests.getByRole("button", { name: t("common:plot.reset") }).click();
    await page.waitForURL((url) => !url.searchParams.has("from"));
  },

  "a stretch of time of one's own is picked, and stands in the address": async (walk) => {
    const page = await walk.open("/");
    await page.getByRole("button", { name: t("common:range.own") }).click();
    await page.getByLabel(t("common:range.from"), { exact: true }).fill("2026-01-02T03:04");
    await page.getByLabel(t("common:range.to"), { exact: true }).fill("2026-01-01T03:04");
    await page.getByText(t("common:range.order")).waitFor();
    await page.getByLabel(t("common:range.to"), { exact: true }).fill("2026-01-03T03:04");
    await walk.axe(page);
    await page.getByRole("button", { name: t("common:range.show"), exact: true }).click();
    await page.waitForURL(/from=.*&to=/);
    await walk.settled(page);
    await page.getByRole("button", { name: t("common:range.clear") }).first().click();
    await page.waitForURL((url) => !url.searchParams.has("from"));
  },

  "who used most is told, and leads on": async (walk) => {
    await traffic(walk);
    const page = await walk.open("/?range=15m");
    const tops = page.getByRole("region", { name: t("tops.title") });
    await tops.getByText(t("tops.requests"), { exact: true }).click();
    await tops.getByRole("link", { name: /chat-fast-1/ }).click();
    await page.waitForURL(/\/usage\?.*model=chat-fast-1/);
    await page.goBack();
    await tops.getByRole("link", { name: /^tide/ }).click();
    await page.waitForURL(/\/usage\?.*of_key=/);
  },

  "a credential that was refused needs a hand, and is a click away": async (walk) => {
    const name = "refusing";
    await walk.api("POST", "providers", { name, protocol: "chat", base_url: walk.fakes.chat });
    const { id } = await walk.api("POST", "credentials", { provider: name, key: "sk-wrong-tide-0001" });
    await walk.api("POST", `credentials/${encodeURIComponent(id)}/probe`);
    const page = await walk.open("/");
    await page.getByRole("alert").filter({ hasText: name }).getByRole("link").first().click();
    await page.waitForURL(/\/credentials\?state=invalid/);
    await walk.close(page);
    await walk.api("DELETE", `credentials/${encodeURIComponent(id)}`);
    await walk.api("DELETE", `providers/${name}`);
  },

  "a lost connection is said, and it comes back by itself": async (walk) => {
    const page = await walk.open("/audit");
    walk.expect(/failed: GET \S+overview\/live/, /console: .*ERR_FAILED.*overview\/live/);
    await page.route("**/overview/live", (route) => route.abort());
    await walk.go(page, "/");
    await page.getByText(t("live.lost")).waitFor();
    await walk.axe(page);
    await page.unroute("**/overview/live");
    await page.getByText(t("live.live"), { exact: true }).waitFor();
  },

  "it looks right": async (walk) => {
    await traffic(walk);
    const ready = (page) => page.locator("canvas").first().waitFor();
    await walk.look("dashboard", "/?range=15m", { act: ready });
    await walk.look("dashboard-phone", "/?range=15m", { act: ready, namespace: "dashboard", size: "phone" });
  },
};
