// What is true of every screen, whatever is on it.
import { plant } from "../hostile.mjs";
import { LANGUAGES, words } from "../walk.mjs";

const t = words("en");

const screen = (path) => (path === "/" ? "dashboard" : path.slice(1).replaceAll("/", "-"));

/** Goes through them all before it fails, so that one run tells everything. */
async function each(list, act) {
  const failures = [];
  for (const one of list) await act(one).catch((error) => failures.push(`${one.name}: ${error.message}`));
  if (failures.length > 0) throw new Error(failures.join("\n"));
}

const steps = {};

steps["every screen can be read and used by everybody, in both languages, and what others wrote is text there (A10)"] = async (walk) => {
  await walk.session(walk.admin);
  await plant(walk);
  const walks = LANGUAGES.map(async (language) => {
    const page = await walk.open("/account", { language });
    walk.assert.equal(await page.evaluate(() => document.documentElement.lang), language === "zh" ? "zh-CN" : "en");
    await each(walk.screens, async ({ path }) => {
      await walk.go(page, path);
      await page.locator("h1").first().waitFor();
      await walk.shot(page, `all-${screen(path)}`, { axe: true });
      const told = await page.evaluate(() => ({ pwned: window.pwned ?? null, images: document.querySelectorAll("img[src=x]").length }));
      walk.assert.deepEqual(told, { pwned: null, images: 0 });
    });
  });
  const failed = (await Promise.allSettled(walks)).find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
};

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

// Each takes the seconds in which the page asks again by itself; lists of all screens are made of the same parts.
const SOME = ["/", "/requests", "/providers", "/keys"];

steps["a proxy's page in place of what a screen asks for is told, and asking again mends it (A11)"] = async (walk) => {
  walk.expect(/answered: 502 GET /, /console: .*502/);
  const page = await walk.open("/account");
  const asked = (url) => /\/admin\/api\/(?!session$|setup$|status$)/.test(url.href);
  const down = (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<html><h1>Bad gateway</h1></html>" });
  const alert = page.getByRole("main").getByRole("alert").filter({ hasText: t("problems.status_502") });
  const again = alert.getByRole("button", { name: t("again") }).first();
  for (const path of SOME) {
    await page.route(asked, down);
    await walk.go(page, path);
    await alert.first().waitFor();
    await page.unroute(asked, down);
    for (let left = await alert.count(); left > 0 && (await again.count()) > 0; left -= 1) {
      await again.click();
      await walk.settled(page);
    }
    walk.assert.equal(await alert.count(), 0, `${path} is mended`);
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

steps["everything is reached with the keyboard, and focus comes back to where it was"] = async (walk) => {
  await walk.api("POST", "teams", { name: "by keyboard" });
  const page = await walk.open("/teams?q=keyboard");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to content" });
  walk.assert(await skip.evaluate((one) => one === document.activeElement), "the first stop leads past the navigation");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "main");
  const row = page.getByRole("row", { name: /by keyboard/ });
  for (let at = 0; at < 12 && !(await row.evaluate((one) => one === document.activeElement)); at += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const drawer = page.getByRole("dialog", { name: "by keyboard" });
  await drawer.waitFor();
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "hidden" });
  await row.and(page.locator(":focus")).waitFor();
  await page.keyboard.press("Shift+Tab");
  walk.assert(!(await row.evaluate((one) => one === document.activeElement)), "and goes on from there");
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
