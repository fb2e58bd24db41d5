// What a scenario works with: pages that are watched, the admin API, the fakes, screenshots and axe.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";

import { chromium } from "playwright-core";

import { ADMIN, ROOT, ask, signIn, start } from "./start.mjs";

const UI = join(ROOT, "ui/src");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
/** How long anything may take. */
const PATIENCE = 30_000;

export const LANGUAGES = ["en", "zh"];
export const SCHEMES = ["light", "dark"];
const SIZES = { desk: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/** The screens as `ui/src/app/screens.ts` lists them: name, path, least role. */
export const SCREENS = (() => {
  const text = readFileSync(join(UI, "app/screens.ts"), "utf8");
  const rows = [...text.matchAll(/\{ name: '([\w-]+)', path: '([^']+)'[^\n]*?least: '(\w+)'(?:, most: '(\w+)')?/g)];
  assert(rows.length > 10, "the table of screens is read as it is written");
  return rows.map(([, name, path, least, most]) => ({ name, path, least, most }));
})();

function browserProgram() {
  // The shell has no windows of its own to draw, which the whole browser does for each page: that takes as long again.
  const folders = (process.env.PATH ?? "").split(delimiter);
  for (const name of ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]) {
    const found = folders.map((folder) => join(folder, name)).find(existsSync);
    if (found) return found;
  }
  throw new Error("Chromium is missing: apt-get install chromium-headless-shell fonts-noto-cjk fonts-noto-color-emoji");
}

/** Starts the browser. Root has no sandbox. */
export function launch() {
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: browserProgram(), args });
}

/** The words of the page: `words("zh", "keys")("create")`, `…("common:save")`, with the values of `{{placeholders}}` as an object. */
export function words(language, namespace = "common") {
  return (key, values = {}) => {
    const [own, path] = key.includes(":") ? key.split(":") : [namespace, key];
    const file = own === "common" ? join(UI, `locales/${language}.json`) : join(UI, `screens/${own}/${language}.json`);
    let found = JSON.parse(readFileSync(file, "utf8"));
    for (const name of path.split(".")) found = found?.[name];
    assert.equal(typeof found, "string", `there is no ${key} in ${file}`);
    return found.replace(/\{\{(\w+)[^}]*\}\}/g, (whole, name) => String(values[name] ?? whole));
  };
}

/** One for each step of a scenario. */
export class Walk {
  #gateway;
  #browser;
  #shots;
  #sessions;
  #contexts = new Set();
  #problems = [];
  #others = [];
  // Nobody is signed in yet: the page asks, and browsers take every such answer for an error.
  #expected = [/^answered: 401 GET \S+\/admin\/api\/session$/, /^console: .*401 .*\/admin\/api\/session\)$/];

  constructor({ gateway, browser, shots, sessions }) {
    this.#gateway = gateway;
    this.#browser = browser;
    this.#shots = shots;
    this.#sessions = sessions;
    this.assert = assert;
    this.url = gateway.url;
    this.gateway = gateway;
    this.fakes = gateway.fakes;
    this.admin = ADMIN;
    this.screens = SCREENS;
  }

  /**
   * Asks the admin API as the operator of this machine and fails on anything but success; gives the body. `as` makes it a user's request:
   * `{ name, password }`. `expect` is the status if it is to be another.
   */
  async api(method, path, body, { as, expect, headers } = {}) {
    const session = as && (await this.session(as));
    const answer = await ask(this.#gateway, method, path, body, { session, headers });
    const fine = expect === undefined ? answer.status < 300 : answer.status === expect;
    assert(fine, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** A user, made if there is none of this name: `{ name, password }`, for `open` and `api`. */
  async user(name, role = "member", more = {}) {
    const user = { name, password: `password of ${name}` };
    const { status } = await ask(this.#gateway, "GET", `users/${encodeURIComponent(name)}`);
    if (status === 404) {
      // Who manages sees to a team.
      const team = role === "manager" ? { team: "walkers" } : {};
      if (team.team) await ask(this.#gateway, "POST", "teams", { name: team.team });
      await this.api("POST", "users", { name, role, ...team, ...more });
      await this.api("PUT", `users/${encodeURIComponent(name)}/password`, { password: user.password, must_change: false });
    }
    return user;
  }

  /** A key for clients, made if there is none: `await walk.key()` is its text. */
  async key(name = "walk", more = {}) {
    if (!this.#sessions.has(`key ${name}`)) {
      const made = await this.api("POST", "keys", { name, ...more });
      this.#sessions.set(`key ${name}`, made.key);
    }
    return this.#sessions.get(`key ${name}`);
  }

  /** What a client asks: `protocol`, model and text. Gives `{ status, text }`. */
  async client(protocol, model, text, { stream = false, key, more = {} } = {}) {
    const [path, body] = {
      chat: ["/v1/chat/completions", { model, stream, messages: [{ role: "user", content: text }] }],
      responses: ["/v1/responses", { model, stream, input: text }],
      messages: ["/v1/messages", { model, stream, max_tokens: 500, messages: [{ role: "user", content: text }] }],
      gemini: [`/v1beta/models/${encodeURIComponent(model)}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`, { contents: [{ role: "user", parts: [{ text }] }] }],
    }[protocol];
    const headers = { "content-type": "application/json", authorization: `Bearer ${key ?? (await this.key())}` };
    const answer = await fetch(this.url + path, { method: "POST", headers, body: JSON.stringify({ ...body, ...more }) });
    return { status: answer.status, text: await answer.text() };
  }

  /** The session of a user, the same for all steps until it ends. */
  async session(user) {
    const kept = this.#sessions.get(user.name);
    if (kept) {
      const { status } = await ask(this.#gateway, "GET", "session", undefined, { session: kept });
      if (status === 200) return kept;
    }
    if (user.name === ADMIN.name) await this.#makeAdmin();
    const session = await signIn(this.#gateway, user);
    this.#sessions.set(user.name, session);
    return session;
  }

  /** Where a scenario runs alone, nobody has made the first admin in the browser. */
  async #makeAdmin() {
    const { body } = await ask(this.#gateway, "GET", "setup");
    if (body.needed) await this.api("POST", "setup", { code: this.#gateway.code, ...ADMIN });
  }

  /**
   * Opens a page of the gateway and waits until it shows what it has. Everything that goes wrong in it fails the step. `as`: a user, the admin by
   * default, `null` for nobody; `language` en or zh; `scheme` light or dark; `size` desk or phone; `site` for the page of somebody else.
   */
  async open(path = "/", { as = ADMIN, language = "en", scheme = "light", size = "desk", site, grant = [] } = {}) {
    const context = await this.#browser.newContext({
      locale: language === "zh" ? "zh-CN" : "en-GB",
      timezoneId: "Europe/Berlin",
      colorScheme: scheme,
      reducedMotion: "reduce",
      viewport: SIZES[size],
      ...(size === "phone" && { isMobile: true, hasTouch: true, deviceScaleFactor: 2 }),
      permissions: grant,
    });
    this.#contexts.add(context);
    context.on("close", () => this.#contexts.delete(context));
    context.setDefaultTimeout(PATIENCE);
    if (as) await context.addCookies([cookieOf(await this.session(as), this.url)]);
    await context.exposeBinding("walkViolation", (_source, told) => this.#problems.push(`blocked by the policy: ${told}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.walkViolation(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
      });
    });
    const page = await context.newPage();
    page.walkLanguage = language;
    page.walkSize = size;
    page.walkPending = new Set();
    this.#watch(page);
    if (site) await page.goto(site);
    else await this.go(page, path);
    return page;
  }

  /** Another path in the same page, which is faster than another page: its files are known already. */
  async go(page, path) {
    page.walkPending.clear();
    await page.goto(`${this.url}/admin${path}`);
    await this.settled(page);
  }

  #watch(page) {
    const note = (problem) => this.#problems.push(problem);
    page.on("console", (message) => {
      if (message.type() === "error") note(`console: ${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => note(`uncaught: ${error.stack ?? error}`));
    page.on("request", (request) => {
      page.walkPending.add(request);
      const { protocol, host } = new URL(request.url());
      if (protocol.startsWith("http") && host !== new URL(this.url).host && page.url().startsWith(this.url)) note(`it loads from elsewhere: ${request.url()}`);
    });
    page.on("requestfinished", (request) => page.walkPending.delete(request));
    page.on("requestfailed", (request) => {
      page.walkPending.delete(request);
      // What is left behind on the way to another page is no failure.
      const why = request.failure()?.errorText;
      if (why !== "net::ERR_ABORTED") note(`failed: ${request.method()} ${request.url()}: ${why}`);
    });
    page.on("response", (response) => {
      // Streams end when the page goes.
      if (response.headers()["content-type"]?.startsWith("text/event-stream")) page.walkPending.delete(response.request());
      if (response.status() >= 400) note(`answered: ${response.status()} ${response.request().method()} ${response.url()}`);
    });
  }

  /** Problems that this step makes on purpose: those whose words are like one of these do not count. */
  expect(...patterns) {
    this.#expected.push(...patterns);
  }

  /** Waits until everything that was asked for has come and is shown. */
  async settled(page) {
    const until = Date.now() + PATIENCE;
    for (let calm = 0; calm < 2; ) {
      await page.waitForFunction(() => {
        const shown = document.querySelector("main") ?? document.querySelector("#root");
        return shown?.textContent && !document.querySelector("[aria-busy=true], .mantine-Loader-root, .mantine-Skeleton-root[data-visible]");
      });
      await page.evaluate(async () => {
        const ends = document.getAnimations().filter((one) => one.effect?.getComputedTiming().iterations !== Infinity);
        await Promise.allSettled(ends.map((one) => one.finished));
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      });
      calm = page.walkPending.size === 0 ? calm + 1 : 0;
      assert(calm > 0 || Date.now() < until, `still under way: ${[...page.walkPending].map((request) => request.url())}`);
    }
  }

  /** Looks at the page with axe; everything against WCAG 2.2 AA fails the step. */
  async axe(page, { within } = {}) {
    await this.settled(page);
    await page.evaluate(AXE);
    const found = await page.evaluate(
      async ([within, values]) => (await window.axe.run(within ?? document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] })).violations,
      [within, RULES],
    );
    const told = found.flatMap(({ id, help, nodes }) => nodes.slice(0, 5).map((node) => `${id} (${help}): ${node.target.join(" ")}\n      ${node.html.slice(0, 200)}\n      ${node.failureSummary?.replaceAll("\n", "\n      ")}`));
    assert.equal(told.length, 0, `axe at ${page.url()}:\n    ${told.join("\n    ")}`);
  }

  /** A picture of the page as it is, in both colour schemes; with axe in each of them if asked for. */
  async shot(page, name, { fullPage = false, axe = false } = {}) {
    const before = await page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
    for (const scheme of before ? SCHEMES.toReversed() : SCHEMES) {
      await page.emulateMedia({ colorScheme: scheme });
      await (axe ? this.axe(page) : this.settled(page));
      const folder = join(this.#shots, `${page.walkLanguage}-${scheme}`);
      mkdirSync(folder, { recursive: true });
      await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
    }
    await page.emulateMedia({ colorScheme: before ? "dark" : "light" });
  }

  /**
   * Opens a path in both languages, side by side, brings it with `act(page, t)` to where it is worth looking at, and looks: axe and a picture in both
   * colour schemes. `t` gives the words of the screen in the page's language.
   */
  async look(name, path, { act, namespace = name, axe = true, ...how } = {}) {
    // The session is there before both ask for it.
    if (how.as !== null) await this.session(how.as ?? ADMIN);
    const looks = LANGUAGES.map(async (language) => {
      const page = await this.open(path, { ...how, language });
      if (act) await act(page, words(language, namespace));
      await this.shot(page, name, { axe });
      await this.close(page);
    });
    // Both end before the step does: a page that is still at work would be closed under its feet.
    const failed = (await Promise.allSettled(looks)).find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  /** The same on a gateway of its own, with what `configure` gives for its file by the fakes and the port; ends with the step. */
  async elsewhere(configure) {
    const gateway = await start({ binary: this.gateway.binary, configure });
    const walk = new Walk({ gateway, browser: this.#browser, shots: this.#shots, sessions: new Map() });
    this.#others.push(walk);
    return walk;
  }

  /** Closes a page before the step ends. */
  async close(page) {
    await page.context().close();
  }

  /** Ends the step; whatever went wrong in its pages and was not expected. */
  async end(failed, name) {
    const pages = [...this.#contexts].flatMap((context) => context.pages());
    if (failed) {
      for (const [at, page] of pages.entries()) {
        mkdirSync(join(this.#shots, "failed"), { recursive: true });
        const path = join(this.#shots, "failed", `${name}-${at + 1}.png`);
        const taken = await page.screenshot({ path }).then(() => true, () => false);
        if (taken) console.log(`    ${page.url()} looked like ${path}`);
      }
    }
    for (const context of [...this.#contexts]) await context.close();
    for (const [at, other] of this.#others.entries()) {
      this.#problems.push(...(await other.end(failed, `${name}-other-${at + 1}`)));
      await other.gateway.stop();
    }
    return this.#problems.filter((problem) => !this.#expected.some((pattern) => pattern.test(problem)));
  }
}

function cookieOf(session, url) {
  const [name, value] = session.cookie.split(/=(.*)/s);
  return { name, value, url, httpOnly: true, sameSite: "Strict" };
}

/**
 * The scenarios, in their order: `walk/NN-NAME.mjs`, whose default export is an object of steps by what is true after them. `onlyByName` are those
 * that run where they are asked for.
 */
export async function scenarios() {
  const folder = join(import.meta.dirname, "walk");
  const files = readdirSync(folder).filter((name) => /^\d\d-[\w-]+\.mjs$/.test(name)).sort();
  return Promise.all(
    files.map(async (file) => {
      const { default: steps, onlyByName = false } = await import(join(folder, file));
      return { name: file.replace(/^\d\d-|\.mjs$/g, ""), steps: Object.entries(steps), onlyByName };
    }),
  );
}
