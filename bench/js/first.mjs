// The demo site in Chromium: first.mjs [isolated/] [ROUNDS]. When it shows its first prediction, in milliseconds from the
// navigation: in a browser context that has nothing ("fresh"), in the same again ("again"), and when a page of one line runs
// its script ("floor"). Then the tasks of the page above 50 ms while a ConvNet trains.
import { join } from "node:path";
import { launch, repository, serve } from "../../js/test/browser.mjs";

const [path = "", rounds = "16"] = process.argv.slice(2);
const line = '<!doctype html><title>One line</title><script type="module" src="./line.js"></script>';
const extra = { "/line.html": line, "/line.js": "document.documentElement.dataset.firstPrediction = performance.now();" };
const server = await serve({ "/": process.env.SITE ?? join(repository, "js/examples/mnist/dist") }, extra);
const browser = await launch();
const times = { floor: [], fresh: [], again: [] };

// Nothing is asked of the page while it loads: that would take its time.
async function visit(page, url, kind) {
  await page.waitForTimeout(1000);
  await page.goto(`${server.url}/${path}${url}`, { waitUntil: "commit" });
  await page.waitForTimeout(2000);
  await page.waitForFunction(() => document.documentElement.dataset.firstPrediction);
  times[kind].push(Math.round(await page.evaluate(() => Number(document.documentElement.dataset.firstPrediction))));
}

for (let i = 0; i < Number(rounds); ++i) {
  for (const [url, ...kinds] of [["line.html", "floor"], ["", "fresh", "again"]]) {
    const context = await browser.newContext();
    const page = await context.newPage();
    for (const kind of kinds) await visit(page, url, kind);
    await context.close();
  }
}
for (const [kind, all] of Object.entries(times)) {
  all.sort((a, b) => a - b);
  console.log(`${kind}: least ${all[0]}, median ${all[all.length >> 1]}, all ${all.join(" ")}`);
}

const page = await browser.newPage();
await page.addInitScript(() => {
  globalThis.long = [];
  new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map((e) => [Math.round(e.startTime), e.duration]))).observe({ type: "longtask" });
});
await page.goto(`${server.url}/${path}`);
await page.waitForTimeout(3000);
await page.selectOption("#model", "convnet");
await page.waitForTimeout(1000);
await page.evaluate(() => (globalThis.long.length = 0));
await page.click("#start");
await page.waitForTimeout(500);
await page.waitForSelector("html[data-training=false]", { timeout: 300_000 });
console.log(`training: tasks above 50 ms: ${JSON.stringify(await page.evaluate(() => globalThis.long))}; ${await page.textContent("#speed")}; ${await page.textContent("#final")}`);
await browser.close();
server.close();
