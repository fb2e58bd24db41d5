// What strangers put into names.
import { ask } from "./start.mjs";

/** Each would set `window.pwned` if it were anything but text. */
export const HOSTILE = [
  `<img src=x onerror="window.pwned=1">`,
  `"><script>window.pwned=1</script>`,
  `javascript:window.pwned=1`,
  `{{constructor.constructor('window.pwned=1')()}}`,
  `\u202egnp.\u2066\u202d🏴‍☠️ עברית العربية`,
];

/** Puts them wherever somebody may write something that others see. */
export async function plant(walk) {
  const key = await walk.key();
  for (const [at, name] of HOSTILE.entries()) {
    await ask(walk.gateway, "POST", "teams", { name: `${name}${at}` });
    await ask(walk.gateway, "POST", "users", { name: `${name}${at}` });
    await ask(walk.gateway, "POST", "keys", { name: `${name}${at}` });
    await ask(walk.gateway, "POST", "pools", { name: `${name}${at}`, targets: [`file-chat/${name}`] });
    await ask(walk.gateway, "POST", "routes", { name: `${name}${at}`, match: { model: name }, to: "file-chat/fast-1" });
    await walk.client("chat", `chat-fast-${name}`, name, { key, more: { user: name } });
    await walk.client("chat", name, name, { key });
  }
  const captured = await walk.key("captured", { capture: true });
  await walk.client("chat", "chat-fast-1", HOSTILE.join(" "), { key: captured });
}
