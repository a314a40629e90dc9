// A model in Chromium beside LiteRT.js, in one page: `cargo xtask web`, then in any folder
//
//   npm install playwright-core@1 @litertjs/core
//   node …/boards/web/test/speed.js MODEL.ferro FLOAT.tflite [PACKAGE…]
//
// where PACKAGE is a folder with ferrolite.js and ferrolite.wasm (target/npm/ferrolite). Both take turns of 3 ms, so that what
// else the machine does hits both; the least and the middle of 700 turns are printed, in microseconds an inference.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const { chromium } = createRequire(join(process.cwd(), "package.json"))("playwright-core");

const here = dirname(fileURLToPath(import.meta.url));
const [model, float, ...given] = process.argv.slice(2);
if (!float) throw new Error("usage: speed.js MODEL.ferro FLOAT.tflite [PACKAGE…]");
const packages = given.length ? given : [join(here, "../../../target/npm/ferrolite")];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const map = JSON.stringify({ imports: { "@litertjs/wasm-utils": "./node_modules/@litertjs/wasm-utils/dist/index.js" } });
const files = { "/index.html": `<!doctype html><script type="importmap">${map}</script>` };

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  const [, first, ...rest] = path.split("/");
  const known = { model, float }[first] ?? (first.startsWith("package") ? join(packages[first.slice(7)], ...rest) : join(process.cwd(), path));
  let body = files[path];
  try {
    body ??= readFileSync(resolve(known));
  } catch {
    return response.writeHead(404).end();
  }
  // Pages that share nothing with others have a clock of 5 microseconds.
  response.writeHead(200, {
    "content-type": TYPES[extname(path)] ?? "application/octet-stream",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
  });
  response.end(body);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

/** In the page. */
async function measure(count) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import("/node_modules/@litertjs/core/dist/index.js");
  await loadLiteRt("/node_modules/@litertjs/core/wasm/");
  const float = await loadAndCompile("/float", { accelerator: "wasm" });
  const shape = [...float.getInputDetails()[0].shape];
  const input = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => 3 * Math.sin(1.7 * i));
  const runs = {
    "LiteRT.js": async () => {
      const tensor = new Tensor(input, shape);
      const outputs = await float.run([tensor]);
      const values = await outputs[0].data();
      [tensor, ...outputs].forEach((one) => one.delete());
      return values;
    },
  };
  for (let index = 0; index < count; index++) {
    const { Model } = await import(`/package${index}/ferrolite.js`);
    const net = await Model.load("/model");
    runs[`Ferrolite ${index}`] = () => net.run(input);
  }
  const micros = {};
  for (let round = 0; round <= 700; round++) {
    for (const [name, run] of Object.entries(runs)) {
      const start = performance.now();
      const end = start + (round ? 3 : 1500);
      let inferences = 0;
      for (; performance.now() < end; inferences++) {
        const answer = run();
        if (answer instanceof Promise) await answer;
      }
      if (round) (micros[name] ??= []).push(((performance.now() - start) / inferences) * 1000);
    }
  }
  const line = (sorted) => ({ least: +sorted[0].toFixed(1), middle: +sorted[sorted.length >> 1].toFixed(1) });
  return Object.fromEntries(Object.entries(micros).map(([name, all]) => [name, line(all.sort((a, b) => a - b))]));
}

const browser = await chromium.launch({ executablePath: process.env.FERROLITE_BROWSER ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
  console.table(await page.evaluate(measure, packages.length));
} finally {
  await browser.close();
  server.close();
}
