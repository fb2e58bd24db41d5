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

  "five thousand lines are sent to their end": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-thousands", protocol: "chat", base_url: walk.fakes.chat });
    const page = await walk.open("/credentials?add=new", { grant: ["clipboard-read", "clipboard-write"] });
    const dialog = page.getByRole("dialog", { name: t("import.title") });
    await dialog.getByPlaceholder(t("import.providerPick")).click();
    await page.getByRole("option", { name: "walk-thousands", exact: true }).click();
    await page.evaluate(() => navigator.clipboard.writeText(Array.from({ length: 5_001 }, (_, at) => `sk-thousand-${at % 5_000}-0123456789abcdef0123456789`).join("\n")));
    await dialog.getByRole("textbox", { name: t("import.text") }).focus();
    await page.keyboard.press("Control+V");
    await dialog.getByText(/^5,001 lines/).waitFor();
    await dialog.getByRole("button", { name: t("import.start"), exact: true }).click();
    await dialog.getByText(t("import.phase.done", { done: "5,001", total: "5,001" })).waitFor({ timeout: 60_000 });
    await dialog.getByText(`${t("import.results.created")} 5,000`).waitFor();
    await dialog.getByText(`${t("import.results.duplicate")} 1`, { exact: true }).waitFor();
    await dialog.getByRole("button", { name: t("import.close"), exact: true }).last().click();
    await page.getByRole("row", { name: /walk-thousands/ }).first().waitFor();
    await walk.api("DELETE", "providers/walk-thousands", undefined, { expect: 409 });
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

  "one is switched off and on, and several are deleted together": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-many", protocol: "chat", base_url: walk.fakes.chat });
    for (let at = 0; at < 7; at += 1) await walk.api("POST", "credentials", { provider: "walk-many", name: `many-${at}`, key: `sk-walk-many-0123456789-${at}` });
    const [one] = (await walk.api("GET", "credentials?provider=walk-many")).credentials;
    const page = await walk.open(`/credentials?provider=walk-many&open=${one.id}`);
    const drawer = page.getByRole("dialog");
    await drawer.getByRole("switch").click({ force: true });
    await page.getByText(t("turned.off", { name: one.label })).waitFor();
    walk.assert.equal((await walk.api("GET", `credentials/${one.id}`)).enabled, false);
    await drawer.getByRole("switch").click({ force: true });
    await page.getByText(t("turned.on", { name: one.label })).waitFor();
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    await page.getByRole("checkbox", { name: t("common:table.selectAll") }).check();
    // What was picked belongs to the filter that it was picked under.
    await page.getByRole("textbox", { name: t("filters.search") }).fill("many-1");
    await page.getByRole("toolbar").waitFor({ state: "detached" });
    await page.getByRole("row", { name: /many-6/ }).waitFor({ state: "detached" });
    await page.getByRole("textbox", { name: t("filters.search") }).fill("");
    await page.getByRole("row", { name: /many-6/ }).waitFor();
    await page.getByRole("checkbox", { name: t("common:table.selectAll") }).check();
    // What would stop all of them is asked about, stops where the connection is lost, and goes on with those that are left.
    walk.expect(/failed: POST/, /console: .*ERR_FAILED/);
    let calls = 0;
    const cut = (route) => ((calls += 1) > 2 ? route.abort() : route.fallback());
    await page.route("**/disable", cut);
    await page.getByRole("toolbar").getByRole("button", { name: t("acts.disable"), exact: true }).click();
    const question = page.getByRole("dialog", { name: t("bulk.ask.title_other", { act: t("acts.disable"), count: 7 }) });
    await walk.axe(page);
    await question.getByRole("button", { name: t("acts.disable"), exact: true }).click();
    const halted = page.getByRole("dialog", { name: t("acts.disable"), exact: true });
    await halted.getByRole("alert").getByText(t("common:problemTitles.offline"), { exact: true }).waitFor();
    await halted.getByText(`${t("bulk.results.waiting")} 5`, { exact: true }).waitFor();
    await page.unroute("**/disable", cut);
    await halted.getByRole("button", { name: t("bulk.goOn_other", { count: 5 }) }).click();
    await halted.getByText(`${t("bulk.results.done")} 7`, { exact: true }).waitFor();
    await halted.getByRole("button", { name: t("common:close"), exact: true }).last().click();
    walk.assert((await walk.api("GET", "credentials?provider=walk-many")).credentials.every(({ enabled }) => !enabled));
    await page.getByRole("toolbar").getByRole("button", { name: t("acts.delete"), exact: true }).click();
    const asks = page.getByRole("dialog", { name: t("delete.title_other", { count: 7 }) });
    await asks.getByRole("textbox").fill("7");
    await asks.getByRole("button", { name: t("common:delete"), exact: true }).click();
    const dialog = page.getByRole("dialog", { name: t("acts.delete") });
    await dialog.getByText(t("bulk.progress", { done: 7, total: 7 })).waitFor();
    await dialog.getByRole("button", { name: t("common:close"), exact: true }).last().click();
    walk.assert.equal((await walk.api("GET", "credentials?provider=walk-many")).credentials.length, 0);
  },

  "an account shows its tokens' times, and is refreshed": async (walk) => {
    await walk.api("POST", "providers", { name: "walk-oauth", protocol: "chat", base_url: walk.fakes.chat, oauth: { token_url: walk.fakes.token, client_id: "walk" } });
    const page = await walk.open("/credentials?add=new");
    const add = page.getByRole("dialog", { name: t("import.title") });
    await add.getByPlaceholder(t("import.providerPick")).click();
    await page.getByRole("option", { name: "walk-oauth", exact: true }).click();
    // A provider with an OAuth client takes accounts: nobody has to say so.
    walk.assert(await add.getByRole("radio", { name: t("import.accounts") }).isChecked());
    await add.getByRole("textbox", { name: t("import.text") }).fill("good-walk-oauth-0123456789");
    await add.getByRole("button", { name: t("import.start"), exact: true }).click();
    await add.getByText(t("import.phase.done", { done: 1, total: 1 })).waitFor();
    // Nothing is left that could be lost.
    await page.keyboard.press("Escape");
    await add.waitFor({ state: "detached" });
    const [one] = (await walk.api("GET", "credentials?provider=walk-oauth")).credentials;
    walk.assert.equal(one.kind, "account");
    await walk.go(page, `/credentials?open=${one.id}&tab=account`);
    const drawer = page.getByRole("dialog");
    await drawer.getByRole("button", { name: t("acts.refresh"), exact: true }).click();
    await page.getByText(t("answers.refresh")).waitFor();
    await drawer.getByText(t("account.expires"), { exact: true }).waitFor();
    await walk.axe(page);
    await walk.shot(page, "credential-account");
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
