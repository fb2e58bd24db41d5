// A newcomer's way: the code of the terminal, a provider, its models, a key, a line that works.
import { execFileSync } from "node:child_process";

import { words } from "../walk.mjs";

const t = words("en", "setup");
const add = words("en", "providers");
const connect = words("en", "connect");

export default {
  "a newcomer gets from the code to a line that works": async (walk) => {
    const { needed } = await walk.api("GET", "setup");
    if (!needed) return;
    walk.expect(/answered: 40[01] POST .*\/setup$/, /console: .*40[01].*\/setup/);
    const page = await walk.open("/", { as: null });
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
    await page.getByRole("button", { name: add("next"), exact: true }).click();
    await page.getByRole("button", { name: add("places.save"), exact: true }).click();
    await page.getByText(add("done.title")).waitFor();
    await page.getByRole("button", { name: add("done.close"), exact: true }).click();

    await page.getByRole("button", { name: connect("makeKey") }).click();
    const key = await page.locator("pre").first().innerText();
    walk.assert.match(key, /^pp-/);
    await page.getByRole("combobox", { name: t("model") }).or(page.getByRole("textbox", { name: t("model") })).fill("chat-fast-1");
    const line = page.locator("pre", { hasText: "chat-fast-1" }).first();
    await line.waitFor();
    const said = execFileSync("sh", ["-c", (await line.innerText()).replace("curl ", "curl -sS ")], { encoding: "utf8" });
    walk.assert.equal(JSON.parse(said).object, "chat.completion");
    await walk.axe(page);
    await walk.shot(page, "setup-client", { fullPage: true });
    await page.getByRole("button", { name: t("finish") }).click();
    await page.waitForURL(`${walk.url}/admin/`);
    await walk.settled(page);
    // The text of the key is kept nowhere.
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]) + location.href + document.body.innerHTML);
    walk.assert(!kept.includes(key));
  },
};
