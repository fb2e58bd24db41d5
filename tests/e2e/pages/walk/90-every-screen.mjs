// What is true of every screen, whatever is on it.
import { LANGUAGES, SCHEMES } from "../walk.mjs";

const screen = (path) => (path === "/" ? "dashboard" : path.slice(1).replaceAll("/", "-"));

/** Goes through them all before it fails, so that one run tells everything. */
async function each(list, act) {
  const failures = [];
  for (const one of list) await act(one).catch((error) => failures.push(`${one.name}: ${error.message}`));
  if (failures.length > 0) throw new Error(failures.join("\n"));
}

const steps = {};

for (const language of LANGUAGES) {
  steps[`every screen can be read and used by everybody (${language})`] = async (walk) => {
    const page = await walk.open("/account", { language });
    walk.assert.equal(await page.evaluate(() => document.documentElement.lang), language === "zh" ? "zh-CN" : "en");
    await each(walk.screens, async ({ path }) => {
      await walk.go(page, path);
      await walk.shot(page, `all-${screen(path)}`);
      await page.locator("h1").first().waitFor();
      for (const scheme of SCHEMES) {
        await page.emulateMedia({ colorScheme: scheme });
        await walk.axe(page);
      }
    });
  };
}

steps["on a phone nothing stands out at the side, and the navigation opens"] = async (walk) => {
  const page = await walk.open("/account", { size: "phone" });
  await each(walk.screens, async ({ path }) => {
    await walk.go(page, path);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    walk.assert(wide <= 0, `${wide} pixels too wide`);
    if (path === "/") {
      await walk.shot(page, "phone-dashboard");
      await page.getByRole("button", { name: "Navigation" }).click();
      await page.getByRole("link", { name: "Requests" }).click();
      await page.waitForURL(/\/requests/);
    }
  });
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
    const page = await walk.open("/account", { as });
    const theirs = walk.screens.filter(({ least, most }) => rank[least] <= rank[role] && rank[most ?? "admin"] >= rank[role]);
    await each(theirs, async ({ path }) => {
      await walk.go(page, path);
      await page.locator("h1").first().waitFor();
    });
  }
};

export default steps;
