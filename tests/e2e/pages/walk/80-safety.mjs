// What strangers put into names, and what their pages try.
import { HOSTILE } from "../hostile.mjs";
import { ask } from "../start.mjs";

export default {
  "A10: names in addresses are text as well": async (walk) => {
    const page = await walk.open("/account");
    for (const name of HOSTILE) {
      for (const path of [`/requests?q=${encodeURIComponent(name)}`, `/${encodeURIComponent(name)}`, `/sign-in?to=${encodeURIComponent(name)}`]) {
        await walk.go(page, path);
        walk.assert.equal(await page.evaluate(() => window.pwned ?? null), null, path);
      }
    }
    // Nobody is led to another site by a link to the way in.
    for (const to of ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:window.pwned=1"]) {
      const way = await walk.open(`/sign-in?to=${encodeURIComponent(to)}`, { as: null });
      await way.getByRole("textbox", { name: "Name" }).fill(walk.admin.name);
      await way.getByRole("textbox", { name: "Password" }).fill(walk.admin.password);
      await way.getByRole("button", { name: "Sign in", exact: true }).click();
      await way.waitForURL((url) => !url.pathname.endsWith("/sign-in"));
      walk.assert(way.url().startsWith(`${walk.url}/admin`), way.url());
      await walk.close(way);
    }
  },

  "A11: no site can put the page in a frame": async (walk) => {
    walk.expect(/frame-ancestors/, /ERR_BLOCKED_BY_RESPONSE/);
    walk.fakes.pages.set("/framing", `<!doctype html><title>x</title><iframe src="${walk.url}/admin/" width="900" height="600"></iframe>`);
    const page = await walk.open("", { site: `${walk.fakes.url}/framing` });
    const refused = await page.waitForEvent("console", { predicate: (message) => message.text().includes("frame-ancestors"), timeout: 5000 }).catch(() => null);
    const frame = page.frames().find((one) => one !== page.mainFrame());
    const inside = await frame.evaluate(() => document.querySelector("#root") !== null).catch(() => false);
    walk.assert(!inside, "the page is shown in the frame");
    walk.assert(refused !== null || frame.url().startsWith("chrome-error:"), `neither refused nor empty: ${frame.url()}`);
  },

  "A11: what other sites ask for is refused, with the cookie as well": async (walk) => {
    walk.expect(/.*/);
    const session = await walk.session(walk.admin);
    walk.fakes.pages.set("/forging", "<!doctype html><title>x</title>");
    const page = await walk.open("", { site: `${walk.fakes.url}/forging` });
    const asked = await page.evaluate(async (url) => {
      const body = JSON.stringify({ name: "forged" });
      const results = [];
      for (const [mode, type] of [["cors", "application/json"], ["no-cors", "text/plain"]]) {
        const answer = await fetch(`${url}/admin/api/teams`, { method: "POST", mode, credentials: "include", headers: { "content-type": type }, body }).catch(() => null);
        results.push(answer && answer.status);
      }
      const read = await fetch(`${url}/admin/api/users`, { credentials: "include" }).then((answer) => answer.text()).catch(() => null);
      return { results, read };
    }, walk.url);
    walk.assert(asked.results.every((status) => !status) && asked.read === null, JSON.stringify(asked));
    // The same without a browser in between, which could not be made to leave these out.
    for (const headers of [
      { origin: "http://evil.example" },
      { origin: "null" },
      { origin: walk.fakes.url },
      { "sec-fetch-site": "cross-site" },
      { host: "evil.example" },
    ]) {
      const { status } = await ask(walk.gateway, "POST", "teams", { name: "forged" }, { session, headers });
      walk.assert(status >= 400 && status < 500, `${JSON.stringify(headers)}: ${status}`);
    }
    const { status } = await ask(walk.gateway, "POST", "teams", { name: "forged" }, { session: { ...session, csrf: "guessed" } });
    walk.assert.equal(status, 403);
    const { body } = await ask(walk.gateway, "GET", "teams");
    walk.assert(!JSON.stringify(body).includes("forged"), "a site of somebody else made a team");
  },
};
