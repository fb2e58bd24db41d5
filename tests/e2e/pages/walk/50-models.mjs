// Models: what clients may ask for, and rules that answer other names.
import { words } from "../walk.mjs";

const t = words("en", "models");

export default {
  "names of pools, of the file and of routes are found with where they lead": async (walk) => {
    await walk.api("POST", "pools", { name: "models-pool", targets: ["file-chat/chat-fast-1", "file-gemini/gemini-fast-1"] });
    const page = await walk.open("/models?q=models-pool");
    const row = page.getByRole("row", { name: /models-pool/ });
    await row.getByText("file-chat/chat-fast-1 +1").waitFor();
    await row.click();
    const detail = page.getByRole("dialog");
    await detail.getByText("chat-fast-1").first().waitFor();
    await walk.axe(page);
    await detail.getByRole("link", { name: t("openPool") }).click();
    await page.waitForURL(/\/pools\?open=models-pool/);
  },

  "a name that nobody knows can be explained all the same": async (walk) => {
    const page = await walk.open("/models");
    // As fast as somebody types: no letter is lost.
    await page.getByRole("textbox", { name: t("search") }).pressSequentially("nobody-knows-this");
    walk.assert.equal(await page.getByRole("textbox", { name: t("search") }).inputValue(), "nobody-knows-this");
    await page.getByRole("link", { name: t("nothing.explain", { name: "nobody-knows-this" }) }).waitFor();
  },

  "a keyword rule shows what it would catch before it is made, and then answers": async (walk) => {
    await walk.api("POST", "providers", { name: "models-own", protocol: "chat", base_url: walk.fakes.chat, models: ["walk-crane-1", "walk-crane-2"] });
    await walk.api("POST", "credentials", { provider: "models-own", key: "sk-models-own-0123456789" });
    const page = await walk.open("/models");
    await page.getByRole("button", { name: t("rule.make") }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(t("rule.forms.keyword"), { exact: true }).click();
    await dialog.getByRole("textbox", { name: t("rule.asks.keyword") }).fill("crane, models-pool");
    const preview = dialog.getByRole("status", { name: t("rule.preview") });
    await preview.getByText("walk-crane-1", { exact: true }).waitFor();
    await preview.getByText("walk-crane-2", { exact: true }).waitFor();
    // A declared name is asked before, unless the rule goes first.
    await preview.getByText(t("rule.because.declared", { what: "models-pool" })).waitFor();
    await dialog.getByRole("switch", { name: t("rule.first") }).click({ force: true });
    await preview.getByText(t("rule.because.declared", { what: "models-pool" })).waitFor({ state: "detached" });
    await dialog.getByRole("switch", { name: t("rule.first") }).click({ force: true });
    await dialog.getByRole("combobox", { name: t("rule.answer") }).fill("file-messages/messages-fast-1");
    await walk.axe(page);
    await dialog.getByRole("button", { name: t("rule.create") }).click();
    await page.getByRole("row", { name: /crane, models-pool/ }).waitFor();
    const told = await walk.api("POST", "explain", { model: "walk-crane-2" });
    walk.assert.equal(`${told.attempts[0].provider}/${told.attempts[0].model}`, "file-messages/messages-fast-1");
  },

  "an alias and a pattern are made here, and answer": async (walk) => {
    const page = await walk.open("/models");
    for (const [form, text, asked] of [["alias", "walk-nickname", "walk-nickname"], ["glob", "walk-heron-*", "walk-heron-7"]]) {
      await page.getByRole("button", { name: t("rule.make") }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText(t(`rule.forms.${form}`), { exact: true }).click();
      await dialog.getByRole("textbox", { name: t(`rule.asks.${form}`) }).fill(text);
      await dialog.getByRole("combobox", { name: t("rule.answer") }).fill("file-chat/chat-fast-1");
      await page.keyboard.press("Tab");
      await dialog.getByRole("button", { name: t("rule.create") }).click();
      await dialog.waitFor({ state: "detached" });
      const answer = await walk.client("chat", asked, "Hello");
      walk.assert.equal(answer.status, 200, answer.text);
    }
  },

  "a target that is none is told beside its field, and nothing is lost": async (walk) => {
    walk.expect(/answered: 400 POST \S+\/routes/, /console: .*400/);
    const page = await walk.open("/models?rule=new&for=walk-alias");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("combobox", { name: t("rule.answer") }).fill("nowhere-at-all");
    await dialog.getByRole("button", { name: t("rule.create") }).click();
    await dialog.getByText(/leads to `nowhere-at-all`/).first().waitFor();
    walk.assert.equal(await dialog.getByRole("textbox", { name: t("rule.asks.alias") }).inputValue(), "walk-alias");
    await walk.axe(page);
  },

  "it looks right": async (walk) => {
    await walk.look("models", "/models");
    await walk.look("models-detail", "/models?open=models-pool", { namespace: "models" });
    await walk.look("models-rule", "/models?rule=new&for=walk-", { namespace: "models" });
    await walk.look("models-phone", "/models", { namespace: "models", size: "phone" });
  },
};
