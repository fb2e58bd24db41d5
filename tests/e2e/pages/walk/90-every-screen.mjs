// What is true of every screen, whatever is on it.
import { LANGUAGES, SCHEMES } from "../walk.mjs";

const screen = (path) => (path === "/" ? "dashboard" : path.slice(1).replaceAll("/", "-"));

const steps = {};

for (const language of LANGUAGES) {
  steps[`every screen can be read and used by everybody (${language})`] = async (walk) => {
    for (const { name, path } of walk.screens) {
      const page = await walk.open(path, { language });
      walk.assert.equal(await page.evaluate(() => document.documentElement.lang), language === "zh" ? "zh-CN" : "en");
      walk.assert(await page.locator("h1").first().isVisible(), `${name} has no heading`);
      for (const scheme of SCHEMES) {
        await page.emulateMedia({ colorScheme: scheme });
        await walk.axe(page);
      }
      await walk.shot(page, `all-${screen(path)}`);
      await walk.close(page);
    }
  };
}

steps["on a phone nothing stands out at the side, and the navigation opens"] = async (walk) => {
  for (const { name, path } of walk.screens) {
    const page = await walk.open(path, { size: "phone" });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    walk.assert(wide <= 0, `${name} is ${wide} pixels too wide`);
    if (path === "/") {
      await walk.shot(page, "phone-dashboard");
      await page.getByRole("button", { name: "Navigation" }).click();
      await page.getByRole("link", { name: "Requests" }).click();
      await page.waitForURL(/\/requests/);
    }
    await walk.close(page);
  }
};

steps["language and colours are chosen in the page and kept"] = async (walk) => {
  const page = await walk.open("/requests");
  await page.getByRole("button", { name: "Language" }).click();
  await page.getByRole("menuitem", { name: "简体中文" }).click();
  await page.getByRole("link", { name: "请求日志" }).first().waitFor();
  await page.getByRole("button", { name: "深色" }).click();
  await page.reload();
  await walk.settled(page);
  walk.assert.equal(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), "dark");
  walk.assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
};

steps["members and managers see their own screens, and no mistake"] = async (walk) => {
  for (const role of ["member", "manager"]) {
    const as = await walk.user(`one-${role}`, role);
    const rank = { member: 1, manager: 2, admin: 3 };
    for (const { path, least, most } of walk.screens) {
      if (rank[least] > rank[role] || (most && rank[most] < rank[role])) continue;
      const page = await walk.open(path, { as });
      walk.assert(await page.locator("h1").first().isVisible(), path);
      await walk.close(page);
    }
  }
};

export default steps;
