// Signing in, out, and in again where one was.
import { words } from "../walk.mjs";

const t = words("en");

async function signIn(walk, within, { name, password }) {
  if (name !== undefined) await within.getByRole("textbox", { name: t("signIn.name") }).fill(name);
  await within.getByRole("textbox", { name: t("signIn.password") }).fill(password);
  await within.getByRole("button", { name: t("signIn.do"), exact: true }).click();
}

export default {
  "a wrong password is told, what was typed stays, and the right one leads to where one wanted": async (walk) => {
    await walk.session(walk.admin);
    walk.expect(/answered: 401 POST .*\/session$/, /console: .*401/);
    const page = await walk.open("/requests?q=lost", { as: null });
    await page.waitForURL(/\/admin\/sign-in\?to=/);
    await signIn(walk, page, { name: walk.admin.name, password: "not the password" });
    await page.getByText(t("problems.sign_in_failed")).waitFor();
    walk.assert.equal(await page.getByRole("textbox", { name: t("signIn.name") }).inputValue(), walk.admin.name);
    await walk.axe(page);
    await signIn(walk, page, { password: walk.admin.password });
    await page.waitForURL(/\/admin\/requests\?q=lost$/);
    await walk.settled(page);
    // Nothing that opens the gateway lies where scripts or other users of the machine find it.
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    walk.assert(!kept.includes(walk.admin.password) && !/csrf|polyport=/i.test(kept), kept);
  },

  "who signs out is out, and the way back opens nothing": async (walk) => {
    const user = await walk.user("leaves");
    const page = await walk.open("/account", { as: user });
    await page.getByRole("button", { name: t("shell.account"), exact: true }).click();
    await page.getByRole("menuitem", { name: t("shell.signOut") }).click();
    await page.waitForURL(/\/admin\/sign-in/);
    await page.goBack();
    await page.waitForURL(/\/admin\/sign-in/);
    const session = await walk.session(user);
    walk.assert(session.cookie, "the one before has ended, so this is another");
  },

  "A12: signed out elsewhere, the page asks to sign in again and stays where it is": async (walk) => {
    walk.expect(/answered: 401 /, /console: .*401/);
    const user = await walk.user("guest", "manager");
    const page = await walk.open("/users?q=guest", { as: user });
    await walk.api("DELETE", `users/${user.name}/sessions`);
    // The next thing that the page asks shows that it is out.
    await page.getByRole("navigation", { name: t("shell.navigation") }).getByRole("link", { name: t("screens.requests") }).click();
    const dialog = page.getByRole("dialog", { name: t("signIn.again") });
    await dialog.waitFor();
    await walk.axe(page);
    await walk.shot(page, "sign-in-again");
    walk.assert.equal(await dialog.getByRole("textbox", { name: t("signIn.name") }).inputValue(), user.name);
    await signIn(walk, dialog, { password: user.password });
    await dialog.waitFor({ state: "hidden" });
    await page.waitForURL(/\/admin\/requests/);
    await walk.settled(page);
  },

  "A12: a wrong password, and the right one after it, leave what was typed alone": async (walk) => {
    walk.expect(/answered: 401 /, /console: .*401/);
    const user = await walk.user("typist", "manager");
    const keys = words("en", "keys");
    const page = await walk.open("/keys?new=1", { as: user });
    const drawer = page.getByRole("dialog", { name: keys("make") });
    await drawer.getByRole("textbox", { name: keys("name") }).fill("typed before");
    await walk.api("DELETE", `users/${user.name}/sessions`);
    await drawer.getByRole("button", { name: keys("make") }).click();
    const dialog = page.getByRole("dialog", { name: t("signIn.again") });
    await dialog.waitFor();
    await signIn(walk, dialog, { password: "not the password" });
    await dialog.getByText(t("problems.sign_in_failed")).waitFor();
    await dialog.getByRole("button", { name: t("signIn.byKey") }).click();
    await dialog.getByRole("textbox", { name: t("signIn.key") }).fill("no such key");
    await dialog.getByRole("button", { name: t("signIn.do"), exact: true }).click();
    await dialog.getByText(t("problemTitles.admin_key_needed")).waitFor();
    await dialog.getByRole("button", { name: t("signIn.byPassword") }).click();
    await walk.axe(page);
    await signIn(walk, dialog, { password: user.password });
    await dialog.waitFor({ state: "hidden" });
    await drawer.getByRole("button", { name: keys("make") }).click();
    await page.getByRole("dialog", { name: keys("made", { name: "typed before" }) }).waitFor();
  },

  "A12: somebody else who signs in where a session has ended finds nothing of the one before": async (walk) => {
    walk.expect(/answered: 401 /, /console: .*401/);
    const [before, next] = [await walk.user("before", "admin"), await walk.user("next", "admin")];
    const [play, explain] = [words("en", "playground"), words("en", "explain")];
    const page = await walk.open("/playground", { as: before });
    await page.getByRole("textbox", { name: play("composer.label") }).fill("a secret of the one before");
    await page.getByRole("link", { name: t("screens.explain") }).click();
    await page.getByRole("button", { name: explain("form.wide") }).click();
    await page.getByRole("textbox", { name: explain("form.body") }).fill('{"model":"chat-fast-1"}');
    await walk.api("DELETE", `users/${before.name}/sessions`);
    await page.getByRole("link", { name: t("screens.requests") }).click();
    const dialog = page.getByRole("dialog", { name: t("signIn.again") });
    await dialog.waitFor();
    await signIn(walk, dialog, next);
    await dialog.waitFor({ state: "hidden" });
    await page.getByRole("link", { name: t("screens.explain") }).click();
    await page.getByRole("button", { name: explain("form.wide") }).click();
    walk.assert.equal(await page.getByRole("textbox", { name: explain("form.body") }).inputValue(), "");
    await page.getByRole("link", { name: t("screens.playground") }).click();
    walk.assert.equal(await page.getByRole("textbox", { name: play("composer.label") }).inputValue(), "");
  },

  "A12: signed out elsewhere, one may leave, and is asked whether to throw away what was typed": async (walk) => {
    walk.expect(/answered: 401 /, /console: .*401/);
    const user = await walk.user("typist", "manager");
    const keys = words("en", "keys");
    const page = await walk.open("/keys?new=1", { as: user });
    await page.getByRole("textbox", { name: keys("name") }).fill("typed in vain");
    await walk.api("DELETE", `users/${user.name}/sessions`);
    await page.getByRole("dialog", { name: keys("make") }).getByRole("button", { name: keys("make") }).click();
    await page.getByRole("dialog", { name: t("signIn.again") }).getByRole("button", { name: t("signIn.leave") }).click();
    await page.getByRole("dialog", { name: t("leave.title") }).getByRole("button", { name: t("leave.do") }).click();
    await page.waitForURL(/\/admin\/sign-in/);
  },

  "who cannot tell the gateway that they leave is told that they are still in": async (walk) => {
    walk.expect(/failed: DELETE .*session/, /console: .*ERR_/);
    const user = await walk.user("stays");
    const page = await walk.open("/account", { as: user });
    await page.route("**/admin/api/session", (route) => (route.request().method() === "DELETE" ? route.abort("connectionrefused") : route.continue()));
    const out = page.getByRole("main").getByRole("button", { name: t("shell.signOut") });
    await out.click();
    await page.getByText(t("problemTitles.still_signed_in")).waitFor();
    walk.assert.match(page.url(), /\/account$/);
    await page.unroute("**/admin/api/session");
    await out.click();
    await page.waitForURL(/\/admin\/sign-in/);
  },

  "who signs in with their organisation gets where they wanted, comes back in another window, and is told why they are not let in": async (here) => {
    const walk = await here.elsewhere(
      ({ issuer }, port) => `discover: false
access:
  oidc: { issuer: "${issuer.url}", client_id: ${issuer.client}, url: "http://127.0.0.1:${port}", roles: { admin: [ops] } }
`,
    );
    await walk.session(walk.admin);
    const { issuer } = walk.fakes;
    walk.expect(/it loads from elsewhere: \S+issuer/, /answered: 401 /, /console: .*401/);
    const page = await walk.open("/users?q=harbour", { as: null });
    const button = page.getByRole("link", { name: t("signIn.oidc") });
    await button.click();
    // They said no over there.
    await page.waitForURL(/sign-in\?problem=/);
    await page.getByRole("alert").waitFor();
    await walk.axe(page);
    issuer.who = { sub: "1", preferred_username: "grace", groups: ["nobody"] };
    await button.click();
    await page.getByText(t("problemTitles.sign_in_refused")).waitFor();
    issuer.who.groups = ["ops"];
    await button.click();
    await page.waitForURL(/\/admin\/users\?q=harbour$/);
    await walk.settled(page);
    await walk.api("DELETE", "users/grace/sessions");
    await page.getByRole("navigation", { name: t("shell.navigation") }).getByRole("link", { name: t("screens.teams") }).click();
    const again = page.getByRole("dialog", { name: t("signIn.again") });
    const [other] = await Promise.all([page.context().waitForEvent("page"), again.getByRole("link", { name: t("signIn.oidc") }).click()]);
    await other.getByRole("navigation", { name: t("shell.navigation") }).waitFor();
    await again.waitFor({ state: "hidden" });
    await page.waitForURL(/\/admin\/teams$/);
    await page.getByRole("heading", { name: t("screens.teams") }).waitFor();
  },

  "why the organisation did not let somebody in is told in our words alone": async (walk) => {
    const page = await walk.open("/sign-in?problem=sign_in_refused", { as: null });
    await page.getByText(t("problemTitles.sign_in_refused")).waitFor();
    await walk.axe(page);
    await walk.go(page, "/sign-in?problem=%3Cb%3Eboo%3C%2Fb%3E");
    await page.getByText(t("problemTitles.sign_in_refused")).waitFor();
    walk.assert(!(await page.content()).includes("boo</b>"));
  },

  "a screen that is not for a role says so, and asks for nothing": async (walk) => {
    const page = await walk.open("/settings", { as: await walk.user("one-member", "member") });
    await page.getByRole("heading", { name: t("notForYou.title") }).waitFor();
    await walk.axe(page);
    await page.getByRole("link", { name: t("notFound.home") }).click();
    await page.waitForURL(/\/home$/);
  },

  "A12: another password and another role end what was open at once": async (walk) => {
    const user = await walk.user("demoted", "manager");
    const [before, beside] = [await walk.session(user), walk.assert];
    await walk.api("PATCH", `users/${user.name}`, { role: "member" });
    const { ask } = await import("../start.mjs");
    const status = async (session) => (await ask(walk.gateway, "GET", "users", undefined, { session })).status;
    beside.equal(await status(before), 401);
    const next = await walk.session(user);
    await walk.api("PUT", `users/${user.name}/password`, { password: "yet another password", must_change: false });
    beside.equal(await status(next), 401);
    await walk.session({ ...user, password: "yet another password" });
  },

  "the way in looks right": async (walk) => {
    await walk.look("sign-in", "/sign-in", { as: null });
  },
};
