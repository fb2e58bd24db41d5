// A newcomer's way: the code of the terminal, a provider, its models, a key, a line that works.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { words } from "../walk.mjs";

const t = words("en", "setup");
const add = words("en", "providers");
const connect = words("en", "connect");
const run = promisify(execFile);

export default {
  "a newcomer gets from the code to a line that works": async (walk) => {
    const { needed } = await walk.api("GET", "setup");
    if (!needed) return;
    walk.expect(/answered: 40[01] POST .*\/setup$/, /console: .*40[01].*\/setup/);
    const page = await walk.open("/", { as: null });
    await walk.shot(page, "setup", { axe: true });
    await page.getByRole("textbox", { name: t("code") }).fill("aaaa-bbbb-cccc");
    await page.getByRole("textbox", { name: t("common:signIn.name") }).fill(walk.admin.name);
    for (const name of [t("common:signIn.password"), t("common:password.repeat")]) {
      await page.getByRole("textbox", { name, exact: false }).first().fill(walk.admin.password);
    }
    await page.getByRole("textbox", { name: t("common:password.repeat") }).fill(walk.admin.password);
    await page.getByRole("button", { name: t("makeAdmin") }).click();
    await page.getByRole("alert").waitFor();
    // A wrong code is told, and everything else is still there.
    walk.assert.equal(await page.getByRole("textbox", { name: t("common:signIn.name") }).inputValue(), walk.admin.name);
    await walk.axe(page);
    await page.getByRole("textbox", { name: t("code") }).fill(walk.gateway.code.toUpperCase().replaceAll("-", " "));
    await page.getByRole("button", { name: t("makeAdmin") }).click();

    await page.getByRole("button", { name: add("service.custom") }).click();
    await page.getByRole("textbox", { name: add("access.address") }).fill(walk.fakes.chat);
    await page.getByRole("textbox", { name: add("access.name") }).fill("newcomer");
    await page.getByRole("textbox", { name: add("access.keys") }).fill("sk-newcomer-0123456789");
    await walk.axe(page);
    await page.getByRole("button", { name: add("access.test") }).click();
    await page.getByRole("button", { name: add("models.all"), exact: true }).click();
    await walk.shot(page, "setup-provider");
    // A model is asked before it goes on: a list alone proves nothing.
    await page.getByRole("button", { name: add("access.test"), exact: true }).click();
    await page.getByRole("button", { name: add("places.save"), exact: true }).click();
    await page.getByText(add("done.title")).waitFor();
    await page.getByRole("button", { name: add("done.close"), exact: true }).click();

    await page.getByRole("button", { name: connect("makeKey") }).click();
    const shown = page.locator("pre", { hasText: /^pp-/ }).first();
    const key = await shown.innerText();
    // It is shown this once, and going back does not lose it.
    await page.getByRole("button", { name: new RegExp(t("steps.provider")) }).click();
    await page.getByRole("button", { name: add("service.custom") }).click();
    await page.getByRole("textbox", { name: add("access.address") }).fill("https://api.example.com/v1");
    await page.getByRole("button", { name: t("later") }).click();
    // Nor is what was typed there.
    const asks = page.getByRole("dialog", { name: t("common:leave.title") });
    await asks.getByRole("button", { name: t("common:cancel") }).click();
    walk.assert.equal(await page.getByRole("textbox", { name: add("access.address") }).inputValue(), "https://api.example.com/v1");
    await page.getByRole("button", { name: t("later") }).click();
    await asks.getByRole("button", { name: t("common:leave.do") }).click();
    walk.assert.equal(await shown.innerText(), key);
    // The line works as it stands there.
    const line = page.locator("pre", { hasText: /^curl/ }).first();
    const { stdout } = await run("sh", ["-c", (await line.innerText()).replace("curl ", "curl -sS --max-time 20 ")]);
    walk.assert.equal(JSON.parse(stdout).object, "chat.completion", stdout);
    await walk.axe(page);
    await walk.shot(page, "setup-client", { fullPage: true });
    await page.getByRole("button", { name: t("finish") }).click();
    await page.waitForURL(`${walk.url}/admin/`);
    await walk.settled(page);
    // The text of the key is kept nowhere.
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]) + location.href + document.body.innerHTML);
    walk.assert(!kept.includes(key));
  },

  "the same way is gone in Chinese, past the provider as well": async (here) => {
    const walk = await here.elsewhere(() => "discover: false\n");
    const [t, add, connect] = ["setup", "providers", "connect"].map((name) => words("zh", name));
    const page = await walk.open("/", { as: null, language: "zh" });
    await walk.shot(page, "setup", { axe: true });
    await page.getByRole("textbox", { name: t("code") }).fill(walk.gateway.code);
    await page.getByRole("textbox", { name: t("common:signIn.name") }).fill(walk.admin.name);
    await page.getByRole("textbox", { name: t("common:signIn.password") }).first().fill(walk.admin.password);
    await page.getByRole("textbox", { name: t("common:password.repeat") }).fill(walk.admin.password);
    await page.getByRole("button", { name: t("makeAdmin") }).click();
    await page.getByRole("button", { name: add("service.custom") }).waitFor();
    await walk.shot(page, "setup-provider", { axe: true });
    await page.getByRole("button", { name: t("later") }).click();
    await page.getByRole("button", { name: connect("makeKey") }).click();
    await page.locator("pre", { hasText: /^pp-/ }).first().waitFor();
    await walk.shot(page, "setup-client", { fullPage: true, axe: true });
    await page.getByRole("button", { name: t("finish") }).click();
    await page.waitForURL(`${walk.url}/admin/`);
    await walk.settled(page);
  },
};
