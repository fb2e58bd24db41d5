// Keys, users, teams and limits: made, bounded, used up, replaced, taken away; and what members see.
import { words } from "../walk.mjs";

const keys = words("en", "keys");
const users = words("en", "users");
const teams = words("en", "teams");
const home = words("en", "home");
const connect = words("en", "connect");
const t = words("en");

/** Opens a row by the name in its first cell. */
const openRow = (page, name) => page.getByRole("row", { name: new RegExp(name) }).first().click();

export default {
  "a key is made with a limit, shown once, and stops when the limit is reached": async (walk) => {
    await walk.key();
    const page = await walk.open("/keys");
    await page.getByRole("button", { name: keys("make") }).first().click();
    const drawer = page.getByRole("dialog", { name: keys("make") });
    await drawer.getByRole("button", { name: keys("make") }).click();
    await drawer.getByText(keys("nameNeeded")).waitFor();
    await drawer.getByRole("textbox", { name: keys("name") }).fill("bounded ✨ مفتاح");
    await drawer.getByRole("button", { name: t("rules.addLimit") }).click();
    await drawer.getByRole("textbox", { name: t("rules.amount") }).fill("1e99");
    await drawer.getByRole("button", { name: keys("make") }).click();
    await drawer.getByText(t("rules.amountProblem.number")).waitFor();
    await drawer.getByRole("textbox", { name: t("rules.amount") }).fill("2");
    await drawer.getByRole("combobox", { name: t("rules.per") }).selectOption("day");
    await walk.axe(page);
    await drawer.getByRole("button", { name: keys("make") }).click();
    const made = page.getByRole("dialog", { name: keys("made", { name: "bounded ✨ مفتاح" }) });
    const key = await made.locator("pre").first().innerText();
    walk.assert.match(key, /^pp-/);
    await walk.axe(page);
    // Nothing but its own button closes it, and whoever leaves without a copy is asked.
    await page.keyboard.press("Escape");
    await made.getByRole("link", { name: t("screens.connect") }).click();
    const leaving = page.getByRole("dialog", { name: t("leave.title") });
    await leaving.getByRole("button", { name: t("cancel") }).click();
    await leaving.waitFor({ state: "hidden" });
    walk.assert.equal(await made.locator("pre").first().innerText(), key);
    // Over plain HTTP from elsewhere browsers give a page no clipboard.
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await made.getByRole("button", { name: t("copy"), exact: true }).first().click();
    await made.getByRole("button", { name: t("copied"), exact: true }).waitFor();
    await made.getByRole("button", { name: t("secretKept") }).click();
    await made.waitFor({ state: "hidden" });
    walk.assert(!(await page.content()).includes(key), "the text of the key is gone");
    const look = page.getByRole("textbox", { name: t("search"), exact: true });
    await look.focus();
    await page.keyboard.press("Control+V");
    walk.assert.equal(await look.inputValue(), key);
    await look.fill("");
    const asked = [];
    for (let at = 0; at < 3; at += 1) asked.push((await walk.client("chat", "chat-fast-1", "hello", { key })).status);
    walk.assert.deepEqual(asked, [200, 200, 429]);

    await page.getByRole("link", { name: t("screens.quotas") }).click();
    const row = page.getByRole("row", { name: /bounded/ });
    await row.getByText("100%").waitFor();
    await walk.axe(page);
    // What is left of it stands with the key as well.
    await row.getByRole("link", { name: /bounded/ }).click();
    await page.getByRole("dialog", { name: /bounded/ }).getByText(t("used.left", { left: "0" })).waitFor();
    await walk.axe(page);
  },

  "a key is changed, replaced with an overlap, switched off and deleted": async (walk) => {
    walk.expect(/answered: 412 PATCH /, /console: .*412/);
    const { id, key } = await walk.api("POST", "keys", { name: "walked" });
    const page = await walk.open("/keys?q=walked");
    await openRow(page, "walked");
    await page.getByRole("button", { name: t("edit") }).click();
    const drawer = page.getByRole("dialog", { name: keys("change", { name: "walked" }) });
    await drawer.getByRole("textbox", { name: keys("name") }).fill("walked on");
    // Somebody else is quicker: nothing is overwritten, nothing typed is lost.
    await walk.api("PATCH", `keys/${id}`, { capture: true });
    await drawer.getByRole("button", { name: t("save") }).click();
    await drawer.getByText(t("conflict.title")).waitFor();
    await walk.axe(page);
    walk.assert.equal(await drawer.getByRole("textbox", { name: keys("name") }).inputValue(), "walked on");
    await drawer.getByRole("button", { name: t("conflict.replace") }).click();
    await drawer.waitFor({ state: "hidden" });
    walk.assert.deepEqual([(await walk.api("GET", `keys/${id}`)).name, (await walk.api("GET", `keys/${id}`)).capture], ["walked on", true]);

    await page.getByRole("button", { name: keys("rotate") }).click();
    await page.getByRole("dialog", { name: keys("rotateTitle", { name: "walked on" }) }).getByRole("button", { name: keys("rotate") }).click();
    const rotated = page.getByRole("dialog", { name: keys("rotated", { name: "walked on" }) });
    const next = await rotated.locator("pre").first().innerText();
    await rotated.getByRole("button", { name: t("secretKept") }).click();
    for (const text of [key, next]) walk.assert.equal((await walk.client("chat", "chat-fast-1", "hello", { key: text })).status, 200);

    await page.getByRole("button", { name: t("disable"), exact: true }).click();
    await page.getByRole("dialog", { name: keys("disableTitle", { name: "walked on" }) }).getByRole("button", { name: t("disable"), exact: true }).click();
    await page.getByRole("button", { name: t("enable"), exact: true }).waitFor();
    walk.assert.equal((await walk.client("chat", "chat-fast-1", "hello", { key: next })).status, 401);
    await page.getByRole("button", { name: t("delete") }).click();
    await page.getByRole("dialog", { name: keys("deleteTitle", { name: "walked on" }) }).getByRole("button", { name: t("delete") }).click();
    await page.getByText(keys("noneFound")).waitFor();
    await page.getByRole("button", { name: keys("clear") }).click();
    await page.getByText(keys("noneFound")).waitFor({ state: "detached" });
    await walk.api("GET", `keys/${id}`, undefined, { expect: 404 });
  },

  "what was typed is not lost by going back, and thrown away when the reader says so": async (walk) => {
    const page = await walk.open("/teams");
    await page.getByRole("link", { name: t("screens.keys") }).click();
    await page.getByRole("button", { name: keys("make") }).first().click();
    const name = page.getByRole("dialog", { name: keys("make") }).getByRole("textbox", { name: keys("name") });
    await name.fill("half a name");
    const asked = page.getByRole("dialog", { name: t("leave.title") });
    await page.evaluate(() => history.back());
    await asked.waitFor();
    await walk.axe(page);
    await page.keyboard.press("Escape");
    await asked.waitFor({ state: "hidden" });
    walk.assert.equal(await name.inputValue(), "half a name");
    await page.getByRole("dialog", { name: keys("make") }).getByRole("button", { name: t("cancel") }).click();
    await asked.getByRole("button", { name: t("cancel") }).click();
    await asked.waitFor({ state: "hidden" });
    walk.assert.match(page.url(), /\/keys\?new=1$/);
    await page.evaluate(() => history.back());
    await asked.getByRole("button", { name: t("leave.do") }).click();
    // Going back has closed the form; nothing is lost any more by going on.
    await page.waitForURL(/\/keys$/);
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.evaluate(() => history.back());
    await page.waitForURL(/\/teams$/);
  },

  "who is switched off is out at once, after a question; nobody switches themselves off": async (walk) => {
    const user = await walk.user("switched", "member");
    const key = await walk.key("of switched", { user: user.name });
    const page = await walk.open("/users?q=switched");
    await openRow(page, "switched");
    const drawer = page.getByRole("dialog", { name: user.name, exact: true });
    await drawer.getByRole("button", { name: t("disable"), exact: true }).click();
    const asked = page.getByRole("dialog", { name: users("disableTitle", { name: user.name }) });
    await walk.axe(page);
    await asked.getByRole("button", { name: t("disable"), exact: true }).click();
    await drawer.getByRole("button", { name: t("enable"), exact: true }).waitFor();
    walk.assert.equal((await walk.client("chat", "chat-fast-1", "hello", { key })).status, 401);
    await drawer.getByRole("button", { name: t("enable"), exact: true }).click();
    await drawer.getByRole("button", { name: t("disable"), exact: true }).waitFor();
    walk.assert.equal((await walk.client("chat", "chat-fast-1", "hello", { key })).status, 200);
    await walk.go(page, `/users?q=${walk.admin.name}`);
    await openRow(page, walk.admin.name);
    walk.assert(await page.getByRole("dialog", { name: walk.admin.name, exact: true }).getByRole("button", { name: t("disable"), exact: true }).isDisabled());
  },

  "what others did while a drawer was open is never overwritten unseen, and a drawer outlives what it shows": async (walk) => {
    walk.expect(/answered: 4(12|04) /, /console: .*4(12|04)/);
    const { id } = await walk.api("POST", "teams", { name: "contested" });
    const page = await walk.open(`/teams?id=${id}`);
    await page.getByRole("button", { name: t("edit") }).click();
    const drawer = page.getByRole("dialog", { name: teams("change", { name: "contested" }) });
    const name = drawer.getByRole("textbox", { name: teams("name") });
    await name.fill("contested by me");
    // The list is asked for again before it is saved.
    await walk.api("PATCH", `teams/${id}`, { name: "contested by others" });
    // As if the reader came back to the window again and again.
    const come = () => page.evaluate(() => void setInterval(() => window.dispatchEvent(new Event("visibilitychange")), 500));
    const [answer] = await Promise.all([page.waitForResponse((one) => /\/admin\/api\/teams\?/.test(one.url())), come()]);
    await answer.finished();
    await drawer.getByRole("button", { name: t("save") }).click();
    await drawer.getByText(t("conflict.title")).waitFor();
    await walk.api("DELETE", `teams/${id}`);
    await drawer.getByText(t("conflict.gone")).waitFor();
    walk.assert.equal(await name.inputValue(), "contested by me");
    await walk.axe(page);
    await drawer.getByRole("button", { name: t("close") }).click();
    await page.getByRole("dialog", { name: t("leave.title") }).getByRole("button", { name: t("leave.do") }).click();
    await page.getByRole("dialog", { name: t("notFound.entry") }).getByText(t("problems.not_found")).waitFor();
  },

  "a team and a user are made, and the user gets a password that is shown once": async (walk) => {
    const page = await walk.open("/teams");
    await page.getByRole("button", { name: teams("make") }).first().click();
    let drawer = page.getByRole("dialog", { name: teams("make") });
    await drawer.getByRole("textbox", { name: teams("name") }).fill("研发一组");
    await drawer.getByRole("button", { name: teams("make") }).click();
    await page.getByRole("dialog", { name: "研发一组" }).waitFor();
    await page.getByRole("button", { name: t("close") }).click();
    await page.getByRole("link", { name: t("screens.users") }).click();
    await page.getByRole("button", { name: users("make") }).first().click();
    drawer = page.getByRole("dialog", { name: users("make") });
    await drawer.getByRole("textbox", { name: users("name") }).fill("李雷");
    await drawer.getByRole("combobox", { name: users("team") }).or(drawer.getByRole("textbox", { name: users("team") })).fill("研发");
    await page.getByRole("option", { name: "研发一组" }).click();
    await walk.axe(page);
    await drawer.getByRole("button", { name: users("make") }).click();
    // They have no password yet: it is offered at once.
    const dialog = page.getByRole("dialog", { name: users("passwordOf", { name: "李雷" }) });
    await dialog.getByText(users("passwordNew")).waitFor();
    await walk.axe(page);
    await dialog.getByRole("button", { name: users("setPassword") }).click();
    const password = await dialog.locator("pre").first().innerText();
    await page.keyboard.press("Escape");
    await dialog.getByRole("button", { name: t("secretKept") }).click();
    // It opens nothing but the change of it.
    const other = await walk.open("/", { as: null });
    await other.getByRole("textbox", { name: t("signIn.name") }).fill("李雷");
    await other.getByRole("textbox", { name: t("signIn.password") }).fill(password);
    await other.getByRole("button", { name: t("signIn.do"), exact: true }).click();
    await other.getByText(t("password.mustChange")).waitFor();
    await walk.axe(other);
    await other.getByRole("textbox", { name: t("password.current") }).fill(password);
    await other.getByRole("textbox", { name: t("password.next"), exact: true }).fill("a password of my own");
    await other.getByRole("textbox", { name: t("password.repeat") }).fill("a password of my own");
    await other.getByRole("button", { name: t("password.change") }).click();
    await other.getByRole("heading", { name: home("hello", { name: "李雷" }) }).waitFor();
    await walk.settled(other);
  },

  "members see their own keys, use, limits and models, and connect a client": async (walk) => {
    const member = await walk.user("member", "member", { models: ["chat-*"], limits: [{ what: "tokens", window: "day", amount: 100000 }, { what: "money", window: "month", amount: "25" }] });
    const page = await walk.open("/", { as: member });
    await page.getByRole("heading", { name: home("hello", { name: "member" }) }).waitFor();
    await page.getByText(/\$25\.00 · /).waitFor();
    await walk.settled(page);
    const links = page.getByRole("navigation").getByRole("link");
    walk.assert(!(await links.allInnerTexts()).includes(t("screens.providers")), "no screens of admins");
    await page.getByRole("link", { name: t("screens.connect") }).first().click();
    await page.getByRole("button", { name: connect("makeKey") }).click();
    const key = await page.locator("pre").first().innerText();
    await page.getByRole("button", { name: /Claude Code/ }).click();
    await page.locator("pre", { hasText: key }).nth(1).waitFor();
    await walk.axe(page);
    walk.assert.equal((await walk.client("messages", "chat-fast-1", "hello", { key })).status, 200);
    walk.assert.equal((await walk.client("messages", "gemini-fast-1", "hello", { key })).status, 403);
  },

  "a manager makes a key for somebody of the own team, and sees nobody else": async (walk) => {
    const manager = await walk.user("bosun", "manager");
    await walk.user("deckhand", "member", { team: "walkers" });
    await walk.user("stowaway", "member");
    const page = await walk.open("/keys?new=1", { as: manager });
    const drawer = page.getByRole("dialog", { name: keys("make") });
    await drawer.getByRole("textbox", { name: keys("name") }).fill("deck");
    await drawer.getByRole("combobox", { name: keys("user") }).fill("stowaway");
    await walk.settled(page);
    walk.assert.equal(await page.getByRole("option", { name: "stowaway" }).count(), 0);
    await drawer.getByRole("combobox", { name: keys("user") }).fill("deckhand");
    await page.getByRole("option", { name: "deckhand" }).click();
    await drawer.getByRole("button", { name: keys("make") }).click();
    await page.getByRole("dialog", { name: keys("made", { name: "deck" }) }).getByRole("button", { name: t("secretKept") }).click();
    await page.getByRole("row", { name: /deck.*deckhand/ }).waitFor();
    const { keys: [made] } = await walk.api("GET", "keys?q=deck");
    walk.assert.equal(made.user.name, "deckhand");
    // Members of the own team can be taken away, those who see to it cannot.
    const look = (name) => page.getByRole("dialog", { name, exact: true });
    const buttons = async (name) => {
      await walk.go(page, `/users?q=${name}`);
      await openRow(page, name);
      await look(name).getByRole("button", { name: users("signOut") }).waitFor();
      return Promise.all([t("edit"), t("delete"), users("setPassword")].map((words) => look(name).getByRole("button", { name: words, exact: true }).count()));
    };
    walk.assert.deepEqual([await buttons("deckhand"), await buttons("bosun")], [[1, 1, 0], [0, 0, 0]]);
  },

  "they look right": async (walk) => {
    const { id } = await walk.api("POST", "keys", { name: "to look at", models: ["chat-*"], limits: [{ what: "money", window: "month", amount: "25" }] });
    await walk.look("keys", "/keys");
    await walk.look("keys-one", `/keys?q=look&id=${id}`, { namespace: "keys" });
    await walk.look("keys-new", "/keys?new=1", { namespace: "keys" });
    await walk.look("users", "/users");
    await walk.look("teams", "/teams");
    await walk.look("quotas", "/quotas");
    await walk.look("connect", "/connect");
    await walk.look("account", "/account");
    const member = await walk.user("member");
    await walk.look("home", "/home", { as: member });
    await walk.look("home-phone", "/home", { as: member, size: "phone", namespace: "home" });
    await walk.look("keys-phone", "/keys", { size: "phone", namespace: "keys" });
  },
};
