// The page in Chromium, driven as a person would. `cargo xtask test --all --only page` says where everything is.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const page = process.env.FERROLITE_PAGE;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json" };

let server;
let browser;
let address;

before(async () => {
  server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const name = path === "/" ? "/index.html" : path;
    try {
      const body = readFileSync(join(page, name));
      response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  address = `http://127.0.0.1:${server.address().port}/`;
  const executablePath = execFileSync("which", [process.env.FERROLITE_BROWSER], { encoding: "utf8" }).trim();
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** A page of a phone's width; errors of its scripts fail the test. */
async function visit(path = "") {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const tab = await context.newPage();
  const errors = [];
  tab.on("pageerror", (error) => errors.push(error.message));
  await tab.goto(address + path);
  return { tab, errors, context };
}

/** Draws lines through points of the unit square. */
async function draw(tab, lines) {
  const box = await tab.locator("#pad").boundingBox();
  for (const line of lines) {
    const [first, ...rest] = line.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
    await tab.mouse.move(...first);
    await tab.mouse.down();
    for (const point of rest) await tab.mouse.move(...point, { steps: 8 });
    await tab.mouse.up();
  }
}

test("a drawn digit is recognised", async () => {
  const { tab, errors, context } = await visit();
  await tab.click("#digits");
  await tab.waitForSelector("#pad:visible");
  await draw(tab, [[[0.5, 0.2], [0.5, 0.8]]]);
  assert.equal(await tab.locator("#answers .best span").first().textContent(), "1");
  await tab.click("#clear");
  await draw(tab, [[[0.3, 0.25], [0.7, 0.25], [0.45, 0.8]]]);
  assert.equal(await tab.locator("#answers .best span").first().textContent(), "7");
  assert.match(await tab.locator("#time").textContent(), /\d ms/);
  assert.ok((await tab.locator("#layers tbody tr").count()) > 3);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `the page is ${wide} pixels wide on a phone`);
  await tab.screenshot({ path: "page.png", fullPage: true });
  assert.deepEqual(errors, []);
  await context.close();
});

test("a file is opened, and what is none is refused with a reason", async () => {
  const { tab, errors, context } = await visit();
  await tab.setInputFiles("#file", { name: "nothing.ferro", mimeType: "application/octet-stream", buffer: Buffer.alloc(64) });
  await tab.waitForSelector("#status.error");
  assert.match(await tab.locator("#status").textContent(), /nothing\.ferro: .+/);
  await tab.setInputFiles("#file", join(process.env.FERROLITE_MODELS, "stream.ferro"));
  await tab.waitForSelector("#model:visible");
  assert.match(await tab.locator("#facts").textContent(), /state/);
  assert.ok((await tab.locator("#answers li").count()) > 0);
  assert.deepEqual(errors, []);
  await context.close();
});

test("it works without a network once it was there", async () => {
  const { tab, context } = await visit();
  await tab.evaluate(() => navigator.serviceWorker.ready);
  await tab.reload();
  await context.setOffline(true);
  await tab.reload();
  await tab.click("#digits");
  await tab.waitForSelector("#pad:visible");
  await context.close();
});
