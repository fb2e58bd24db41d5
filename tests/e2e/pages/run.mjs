// node run.mjs [--only NAME,NAME] [--binary PATH] [--keep] [--port N] [--shots FOLDER]; see README.md.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ADMIN, ROOT, start } from "./start.mjs";
import { Walk, launch, scenarios } from "./walk.mjs";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    binary: { type: "string" },
    keep: { type: "boolean" },
    port: { type: "string" },
    shots: { type: "string" },
  },
});
const shots = values.shots ?? join(ROOT, "target/pages");
const only = values.only?.split(",");
const all = await scenarios();
const unknown = only?.find((name) => all.every((scenario) => scenario.name !== name));
if (unknown) {
  console.error(`there is no scenario ${unknown}; there are: ${all.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}

// What was waited for beside a step fails the step, and not the whole walk.
const beside = [];
process.on("unhandledRejection", (error) => beside.push(`nobody waited for: ${error}`));

rmSync(join(shots, "failed"), { recursive: true, force: true });
const gateway = await start({ binary: values.binary, port: values.port && Number(values.port) });
let [passed, failed] = [0, 0];
let browser;
try {
  browser = await launch();
  const sessions = new Map();
  for (const { name, steps, onlyByName } of all) {
    if (only ? !only.includes(name) : onlyByName) continue;
    for (const [at, [what, step]] of steps.entries()) {
      const began = Date.now();
      const walk = new Walk({ gateway, browser, shots, sessions });
      let error;
      try {
        await step(walk);
      } catch (thrown) {
        error = thrown;
      }
      const problems = [...(await walk.end(error !== undefined, `${name}-${at + 1}`)), ...beside.splice(0)];
      const fine = error === undefined && problems.length === 0;
      if (fine) passed++;
      else failed++;
      console.log(`${fine ? "ok    " : "FAILED"} ${name}: ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
      if (error) console.log(`    ${String(error.stack ?? error).replaceAll("\n", "\n    ")}`);
      for (const problem of problems) console.log(`    ${problem.replaceAll("\n", "\n    ")}`);
    }
  }
} finally {
  await browser?.close();
  if (failed > 0) console.log(`what the gateway said last:\n${gateway.log().split("\n").slice(-15).join("\n")}`);
  if (values.keep) {
    console.log(`the gateway runs on at ${gateway.url}/admin/ (${ADMIN.name}, ${ADMIN.password}; code ${gateway.code}; fakes at ${gateway.fakes.url}) until Ctrl-C`);
    await new Promise((resolve) => process.once("SIGINT", resolve));
  }
  await gateway.stop();
}
console.log(`${passed} passed, ${failed} failed`);
for (const problem of beside) console.log(problem);
process.exit(failed === 0 && passed > 0 && beside.length === 0 ? 0 : 1);
