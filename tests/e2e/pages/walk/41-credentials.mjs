// Credentials: many at once, what became of each line, and what is done to several of them.
import { words } from "../walk.mjs";

const t = words("en", "credentials");

export default {
  "an import tells of each line what became of it, and gives back those that failed": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-import", protocol: "chat", base_url: walk.fakes.chat });
    const page = await walk.open("/credentials?add=new", { grant: ["clipboard-read", "clipboard-write"] });
    const dialog = page.getByRole("dialog", { name: t("import.title") });
    await dialog.getByPlaceholder(t("import.providerPick")).click();
    await page.getByRole("option", { name: "walk-import", exact: true }).click();
    const lines = ["sk-walk-one-0123456789", "sk-walk-two-0123456789", "sk-walk-one-0123456789", "{broken", '{"key": "sk-walk-three-0123456789", "weight": 0}'];
    await dialog.getByRole("textbox", { name: t("import.text") }).fill(lines.join("\n"));
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("import.start"), exact: true }).click();
    await dialog.getByText(t("import.phase.done", { done: 5, total: 5 })).waitFor();
    await walk.axe(page);
    await walk.shot(page, "credentials-import");
    await dialog.getByText(t("import.results.invalid"), { exact: true }).last().waitFor();
    await dialog.getByRole("button", { name: t("import.copyFailed") }).click();
    await dialog.getByText(t("common:copied")).waitFor();
    // The page itself may not read the clipboard; another one of the same origin may.
    const reader = await page.context().newPage();
    await reader.goto(`${walk.url}/healthz`);
    await reader.bringToFront();
    const failed = await reader.evaluate(() => navigator.clipboard.readText());
    await reader.close();
    await page.bringToFront();
    walk.assert.deepEqual(failed.split("\n"), ["{broken", "sk-walk-three-0123456789"]);
    await dialog.getByRole("button", { name: t("import.close"), exact: true }).last().click();
    await dialog.waitFor({ state: "hidden" });
    walk.assert(!(await page.content()).includes("sk-walk-one"), "the keys are in the page no more");
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-import")).credentials.length, 2);
  },

  "a hundred thousand lines are pasted without harm to the page": async (walk) => {
    const page = await walk.open("/credentials?add=new", { grant: ["clipboard-read", "clipboard-write"] });
    const dialog = page.getByRole("dialog", { name: t("import.title") });
    await page.evaluate(() => navigator.clipboard.writeText(Array.from({ length: 100_000 }, (_, at) => `sk-many-${at}-0123456789`).join("\n")));
    await dialog.getByRole("textbox", { name: t("import.text") }).focus();
    await page.keyboard.press("Control+V");
    await dialog.getByText(/^100,000 lines/).waitFor();
    await dialog.getByRole("button", { name: t("input.clear") }).click();
    await dialog.getByRole("textbox", { name: t("import.text") }).waitFor();
  },

  "several are probed together, each with its result": async (walk) => {
    await walk.api("POST", "credentials", { provider: "walk-import", key: "sk-wrong-0123456789" });
    const page = await walk.open("/credentials?provider=walk-import");
    await page.getByRole("checkbox", { name: t("common:table.selectAll") }).check();
    await page.getByRole("toolbar").getByRole("button", { name: t("acts.probe"), exact: true }).click();
    const dialog = page.getByRole("dialog", { name: t("acts.probe") });
    await dialog.getByText(t("bulk.progress", { done: 3, total: 3 })).waitFor();
    await dialog.getByText(t("bulk.results.bad"), { exact: true }).waitFor();
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("common:close"), exact: true }).last().click();
    const states = (await walk.api("GET", "credentials?provider=walk-import")).credentials.map((one) => one.state);
    walk.assert(states.includes("invalid") || states.includes("cooling"), states.join());
  },

  "its settings are changed, and its secret is not shown": async (walk) => {
    const [one] = (await walk.api("GET", "credentials?provider=walk-import")).credentials;
    const page = await walk.open(`/credentials?open=${one.id}&tab=definition`);
    const drawer = page.getByRole("dialog");
    await drawer.getByLabel(t("form.weight")).fill("3");
    await drawer.getByLabel(t("form.pace")).fill("60/m");
    await drawer.getByRole("button", { name: t("common:save"), exact: true }).click();
    await page.getByText(t("common:saved")).waitFor();
    const now = await walk.api("GET", `credentials/${one.id}`);
    walk.assert.equal(now.weight, 3);
    walk.assert.deepEqual(now.limits.pace, { requests: 60, per_ms: 60000 });
    walk.assert(!(await page.content()).includes("sk-walk-one"));
  },

  "it looks right": async (walk) => {
    const [one] = (await walk.api("GET", "credentials?provider=walk-import")).credentials;
    await walk.look("credentials", "/credentials");
    await walk.look("credential", `/credentials?open=${one.id}`, { namespace: "credentials" });
    await walk.look("credentials-phone", "/credentials", { namespace: "credentials", size: "phone" });
  },
};
