// The demo site in Chromium: it trains, reads a drawn digit, loads and saves models, in two languages, without a mouse,
// without a network, and without anything from elsewhere.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as mge from "mge.js";
import { launch, open, repository, serve } from "./browser.mjs";

const js = join(repository, "js");
const lenet = join(repository, "tests/golden/cases/mnist/lenet_b8/model_v2.mge");
let server, browser;
before(async () => {
  execFileSync(process.execPath, [join(js, "scripts/demo.mjs"), "--quiet"], { stdio: "inherit" });
  server = await serve({ "/": join(js, "examples/mnist/dist") });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.close();
});

// A page; every request that leaves the server is a mistake.
async function page(path, options = {}) {
  const p = await open(browser, `${server.url}/${path}`, options);
  p.on("request", (r) => r.url().startsWith(server.url) || /^(data|blob):/.test(r.url()) || p.errors.push(`asks for ${r.url()}`));
  return p;
}
const predicted = (p) => p.waitForFunction(() => document.documentElement.dataset.firstPrediction);
const says = (p, pattern) => p.waitForFunction((s) => new RegExp(s).test(document.querySelector("#status").textContent), pattern, { timeout: 300_000 });

test("the first digit is read at once, and a drawn one is read too", async (t) => {
  const p = await page("");
  await predicted(p);
  const first = Number(await p.evaluate(() => document.documentElement.dataset.firstPrediction));
  t.diagnostic(`first prediction ${first} ms after navigation`);
  assert.ok(first < 3000, `${first} ms`); // 300 ms on a machine that does nothing else
  assert.equal(await p.textContent("#answer"), "2");
  await p.click("#clear");
  const box = await p.locator("#pad").boundingBox();
  await p.mouse.move(box.x + box.width / 2, box.y + 40);
  await p.mouse.down();
  await p.mouse.move(box.x + box.width / 2, box.y + box.height - 40, { steps: 12 });
  await p.mouse.up();
  await p.waitForFunction(() => document.querySelector("#answer").textContent === "1");
  // The same with keys.
  await p.click("#clear");
  assert.equal(await p.textContent("#answer"), "–");
  await p.focus("#pad");
  for (let i = 0; i < 7; ++i) await p.keyboard.press("ArrowUp");
  await p.keyboard.press("Space");
  for (let i = 0; i < 14; ++i) await p.keyboard.press("ArrowDown");
  await p.waitForFunction(() => document.querySelector("#answer").textContent === "1");
  assert.deepEqual(p.errors, []);
  await p.close();
});

test("it trains, stops, goes on, resets; the page answers all the time; what it exports loads in Node", async (t) => {
  const p = await page("", { acceptDownloads: true });
  await p.evaluate(() => {
    globalThis.long = [];
    new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
  });
  await predicted(p);
  await p.selectOption("#model", "convnet");
  await p.selectOption("#optimizer", "rmsprop");
  await p.fill("#epochs", "3");
  await p.fill("#batch", "128");
  await p.evaluate(() => (globalThis.long.length = 0));
  await p.click("#start");
  await p.waitForFunction(() => /batch ([5-9]|\d\d) of/.test(document.querySelector("#status").textContent), null, { timeout: 120_000 });
  await p.click("#stop");
  await says(p, "Stopped");
  assert.equal(await p.textContent("#start"), "Resume");
  const before = await p.textContent("#last-loss");
  await p.click("#start");
  await says(p, "done");
  assert.ok(Number(await p.textContent("#last-loss")) < Number(before), "the loss falls");
  assert.match(await p.textContent("#final"), /^Test accuracy: \d+\.\d+% \(1500 digits\)$/);
  assert.ok(Number(/[\d.]+/.exec(await p.textContent("#final"))[0]) > 70, await p.textContent("#final"));
  assert.equal(await p.locator("#examples .right, #examples .wrong").count(), 100);
  const cells = await p.locator("#confusion td:not(:first-child)").allTextContents();
  assert.equal(cells.map(Number).reduce((a, b) => a + b, 0) >= 1500, true);
  const long = await p.evaluate(() => globalThis.long);
  t.diagnostic(`long tasks while training: ${long.map(Math.round)}; ${await p.textContent("#speed")}`);
  const [download] = await Promise.all([p.waitForEvent("download"), p.click("#save")]);
  const model = await mge.load(await readFile(await download.path()));
  assert.equal(model.info.inputs[0].name, "data");
  await p.click("#reset");
  await says(p, "Ready");
  assert.equal(await p.textContent("#last-loss"), "–");
  assert.deepEqual(p.errors, []);
  await p.close();
});

test("a file of another model can be used, and one that is none says so", async () => {
  const p = await page("");
  await predicted(p);
  await p.setInputFiles("#open", lenet);
  await says(p, "model_v2.mge: Ready");
  assert.equal(await p.inputValue("#model"), "file");
  await p.setInputFiles("#open", { name: "no.mge", mimeType: "application/octet-stream", buffer: Buffer.from("this is no model") });
  await p.waitForSelector("#status.error");
  assert.match(await p.textContent("#status"), /model/);
  assert.deepEqual(p.errors, []);
  await p.close();
});

test("the line finds the least squares", async () => {
  const p = await page("regression.html");
  await p.click("#start");
  await says(p, "Converged");
  for (const what of ["slope", "intercept"]) {
    const [got, best] = [await p.textContent(`#${what}`), await p.textContent(`#best-${what}`)];
    const number = (text) => Number(text.replace("−", "-"));
    assert.ok(Math.abs(number(got) - number(best)) < 0.02, `${what} ${got}, least squares ${best}`);
  }
  await p.click("#plot", { position: { x: 60, y: 60 } });
  await says(p, "Training|Converged");
  assert.deepEqual(p.errors, []);
  await p.close();
});

test("any model runs and is timed", async () => {
  const p = await page("model.html");
  await p.setInputFiles("#open", lenet);
  await p.waitForSelector("#about:not([hidden])");
  await p.fill("#runs", "3");
  await p.click("#run");
  await p.waitForFunction(() => /ms on average/.test(document.querySelector("#timing").textContent));
  assert.match(await p.textContent("#outputs"), /out_0 · float32 \(8, 10\)/);
  assert.ok((await p.locator("#ops tbody tr").count()) > 5);
  await p.fill("[data-shape-of=data]", "1, 2, 3");
  await p.click("#run");
  await p.waitForSelector("#timing.error");
  assert.deepEqual(p.errors, []);
  await p.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    test(`nobody is left out: axe, ${colorScheme}, ${width} pixels wide, English and Chinese`, async () => {
      const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
      for (const path of ["", "regression.html", "model.html"]) {
        const p = await open(browser, `${server.url}/${path}`, { colorScheme, viewport: { width, height }, bypassCSP: true });
        for (const lang of ["en", "zh"]) {
          if (lang === "zh") await p.click("#language");
          assert.equal(await p.evaluate(() => document.documentElement.lang), lang);
          await p.evaluate(axe);
          const { violations } = await p.evaluate(() => globalThis.axe.run());
          assert.deepEqual(violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0].html}`), [], `${path} ${lang}`);
          assert.ok(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is wider than the screen`);
          const untold = await p.evaluate(() => [...document.querySelectorAll("[data-t]")].filter((e) => /^[a-z]+[A-Z]/.test(e.textContent)).map((e) => e.dataset.t));
          assert.deepEqual(untold, []);
        }
        await p.close();
      }
    });
  }
}

test("it works without a network, with threads, after the first visit", async (t) => {
  const context = await browser.newContext();
  const p = await context.newPage();
  const own = await serve({ "/": join(js, "examples/mnist/dist") });
  t.after(() => own.close());
  await p.goto(own.url);
  await predicted(p);
  await p.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.active, null, { timeout: 30_000 });
  await p.waitForFunction(async () => (await (await caches.open("mge-digits-1")).keys()).length > 5, null, { timeout: 30_000 });
  await p.waitForTimeout(1000);
  await p.reload(); // now everything passes the service worker
  await predicted(p);
  assert.equal(await p.evaluate(() => crossOriginIsolated), true);
  await p.click("#start"); // threads, whose scripts the first visit did not load
  await p.waitForFunction(() => document.querySelector("#speed").textContent, null, { timeout: 60_000 });
  await p.click("#stop");
  await p.waitForSelector("html[data-training=false]");
  own.close();
  await context.setOffline(true);
  await p.reload();
  await predicted(p);
  assert.equal(await p.textContent("#answer"), "2");
  await context.close();
});
