// node measure.mjs [--binary PATH] [--lines N]: how long the page takes, and how smoothly long lists move; see docs/PERFORMANCE.md.
import { parseArgs } from "node:util";

import { start } from "./start.mjs";
import { Walk, launch, words } from "./walk.mjs";

const { values } = parseArgs({ options: { binary: { type: "string" }, lines: { type: "string", default: "100000" } } });
const LINES = Number(values.lines);
const ROUNDS = 3;
const number = new Intl.NumberFormat("en");
const t = words("en", "credentials");

const gateway = await start({ binary: values.binary });
const browser = await launch();
const walk = new Walk({ gateway, browser, shots: "", sessions: new Map() });

const middle = (times) => times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)];
const at = (times, share) => times.toSorted((one, other) => one - other)[Math.min(times.length - 1, Math.floor(times.length * share))];

/** Milliseconds from the beginning of the way there until the screen can be used (its heading and the navigation), and until it shows all that it asked for. */
async function usable(page, path) {
  await page.goto(`${gateway.url}/admin${path}`, { waitUntil: "commit" });
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        let first = 0;
        const look = () => {
          const heading = document.querySelector("main h1") && document.querySelector("nav a");
          if (heading) first ||= performance.now();
          const shown = heading && !document.querySelector("[aria-busy=true], main .mantine-Loader-root, .mantine-Skeleton-root[data-visible]");
          if (shown) requestAnimationFrame(() => resolve([first, performance.now()]));
          else requestAnimationFrame(look);
        };
        look();
      }),
  );
}

async function screens() {
  console.log("screen: usable after … ms, complete after … ms, nothing known of it before; the same, known before");
  for (const { path } of walk.screens) {
    const [cold, warm] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const fresh = await walk.open("", { site: "about:blank" });
      cold.push(await usable(fresh, path));
      await walk.settled(fresh);
      warm.push(await usable(fresh, path));
      await walk.close(fresh);
    }
    const told = (times) => [0, 1].map((at) => middle(times.map((one) => one[at])).toFixed(0)).join(", ");
    console.log(`${path}: ${told(cold)}; ${told(warm)}`);
  }
}

async function imported() {
  await walk.api("POST", "providers", { name: "many", protocol: "chat", base_url: walk.fakes.chat });
  const page = await walk.open("/credentials?add=new", { grant: ["clipboard-read", "clipboard-write"] });
  const dialog = page.getByRole("dialog", { name: t("import.title") });
  await dialog.getByPlaceholder(t("import.providerPick")).click();
  await page.getByRole("option", { name: "many", exact: true }).click();
  await page.evaluate((lines) => navigator.clipboard.writeText(Array.from({ length: lines }, (_, at) => `sk-many-${at}-0123456789abcdef0123456789abcdef`).join("\n")), LINES);
  await dialog.getByRole("textbox", { name: t("import.text") }).focus();
  let began = Date.now();
  await page.keyboard.press("Control+V");
  await dialog.getByText(new RegExp(`^${number.format(LINES)} lines`)).waitFor();
  console.log(`${number.format(LINES)} lines: read ${Date.now() - began} ms after they were pasted`);
  began = Date.now();
  await dialog.getByRole("button", { name: t("import.start"), exact: true }).click();
  await dialog.getByText(`${t("import.results.created")} ${number.format(LINES)}`).waitFor({ timeout: 900_000 });
  console.log(`imported, each line with its result, after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  await walk.close(page);
}

/** Pixels a second: five windows full of rows. */
const SPEED = 4_000;

/** Scrolls without a pause, and takes the time of each frame. */
async function scrolled() {
  const opened = Date.now();
  const page = await walk.open("/credentials?provider=many");
  console.log(`a list of ${number.format(LINES)}: shown after ${Date.now() - opened} ms`);
  const told = await page.evaluate(
    ([seconds, speed]) =>
      new Promise((resolve) => {
        const scroller = [...document.querySelectorAll("main [role=region]")].find((one) => one.scrollHeight > one.clientHeight);
        const [frames, long] = [[], []];
        new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration))).observe({ entryTypes: ["longtask"] });
        let last = performance.now();
        const ends = last + seconds * 1000;
        const turn = (now) => {
          frames.push(now - last);
          scroller.scrollTop += (speed * (now - last)) / 1000;
          last = now;
          if (now < ends) requestAnimationFrame(turn);
          else resolve({ frames, long, rows: scroller.scrollHeight / 46, drawn: document.querySelectorAll("main [role=row]").length, top: scroller.scrollTop });
        };
        requestAnimationFrame(turn);
      }),
    [30, SPEED],
  );
  const { frames, long, rows, drawn } = told;
  console.log(
    `30 s of scrolling by ${number.format(SPEED)} pixels a second: ${number.format(Math.round(rows))} rows read, ${drawn} drawn; frames of ${at(frames, 0.5).toFixed(1)} ms, one in twenty over ${at(frames, 0.95).toFixed(1)}, ` +
      `one in a hundred over ${at(frames, 0.99).toFixed(1)}, at most ${Math.max(...frames).toFixed(0)}; ${long.length} tasks over 50 ms, the longest ${Math.max(0, ...long).toFixed(0)}`,
  );
  await page.getByRole("textbox", { name: t("filters.search") }).fill(`…`);
  const began = Date.now();
  await walk.settled(page);
  console.log(`a search among them: ${Date.now() - began} ms`);
  await walk.close(page);
}

try {
  await walk.session(walk.admin);
  await screens();
  await imported();
  await scrolled();
} finally {
  await walk.end(false, "measure");
  await browser.close();
  await gateway.stop();
}
