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
/** Files that are served in place of the page's. */
let other = {};
let browser;
let address;

before(async () => {
  server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const name = path === "/" ? "/index.html" : path;
    try {
      const body = readFileSync(other[name] ?? join(page, name));
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

test("a picture replaces what was drawn, and keeps its sides' ratio", async () => {
  const { tab, errors, context } = await visit();
  await tab.click("#digits");
  await tab.waitForSelector("#pad:visible");
  const white = () => tab.evaluate(() => {
    const pad = document.getElementById("pad");
    const { data } = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height);
    return data.filter((value, index) => index % 4 === 0 && value > 127).length / (pad.width * pad.height);
  });
  const show = async (width, height, colour) => {
    const url = await tab.evaluate(([width, height, colour]) => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = canvas.getContext("2d");
      pen.fillStyle = colour;
      pen.fillRect(0, 0, width, height);
      return canvas.toDataURL("image/png");
    }, [width, height, colour]);
    await tab.setInputFiles("#image", { name: "picture.png", mimeType: "image/png", buffer: Buffer.from(url.split(",")[1], "base64") });
    await tab.waitForTimeout(300);
  };
  await draw(tab, [[[0.5, 0.2], [0.5, 0.8]]]);
  assert.ok((await white()) > 0.02);
  await show(40, 40, "transparent");
  assert.equal(await white(), 0);
  await show(80, 40, "#fff");
  assert.ok(Math.abs((await white()) - 0.5) < 0.02, `${await white()} of the pad is white`);
  assert.deepEqual(errors, []);
  await context.close();
});

test("of two models the later one is shown, and a new file at once", async () => {
  const { tab, errors, context } = await visit();
  await tab.evaluate(() => navigator.serviceWorker.ready);
  await tab.reload();
  const stream = join(process.env.FERROLITE_MODELS, "stream.ferro");
  await tab.route("**/digits.ferro", async (route) => {
    await new Promise((done) => setTimeout(done, 500));
    await route.continue();
  });
  await tab.click("#digits");
  await tab.setInputFiles("#file", stream);
  await tab.waitForSelector("#model:visible");
  await tab.waitForTimeout(1000);
  assert.match(await tab.locator("#facts").textContent(), /state/);
  await tab.unroute("**/digits.ferro");
  other = { "/digits.ferro": stream };
  await tab.click("#digits");
  await tab.waitForFunction(() => /digits.*verified/.test(document.getElementById("status").textContent));
  assert.match(await tab.locator("#facts").textContent(), /state/);
  other = {};
  assert.deepEqual(errors, []);
  await context.close();
});
