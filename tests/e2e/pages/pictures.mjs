// node pictures.mjs [--shots FOLDER]: takes the pictures of the READMEs over from a walk (`node run.mjs --only pictures`).
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ROOT } from "./start.mjs";
import { LANGUAGES, launch } from "./walk.mjs";

/** Which of them, and in which colours. */
const PICTURES = { dashboard: "light", add: "light", pools: "dark", explain: "light", playground: "dark", request: "light" };

const { values } = parseArgs({ options: { shots: { type: "string", default: join(ROOT, "target/pages") } } });
const browser = await launch();
const page = await browser.newPage();

/** A third of the size, without a difference that is seen. */
async function webp(path) {
  const base64 = await page.evaluate(async (png) => {
    const image = new Image();
    image.src = png;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: 0.9 })).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }, `data:image/png;base64,${readFileSync(path).toString("base64")}`);
  return Buffer.from(base64, "base64");
}

for (const language of LANGUAGES) {
  const folder = join(ROOT, "docs/images", language);
  mkdirSync(folder, { recursive: true });
  for (const [name, scheme] of Object.entries(PICTURES)) {
    writeFileSync(join(folder, `${name}.webp`), await webp(join(values.shots, `${language}-${scheme}`, `readme-${name}.png`)));
  }
}
await browser.close();
