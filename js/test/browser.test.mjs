// The levels in headless Chromium: without threads, with them on a page that is cross-origin isolated, and through a Worker.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { digits } from "../scripts/mnist.mjs";
import { launch, open, repository, serve } from "./browser.mjs";
import { levels } from "./levels.mjs";

const html = `<!doctype html><meta charset="utf-8"><title>mge.js</title><script type="module" src="/isolated/start.mjs"></script>`;
const script = `
import * as mge from "./dist/index.js";
import { levels } from "./test/levels.mjs";
import { trainMnist } from "./test/training.mjs";
const read = async (path) => new Uint8Array(await (await fetch("repo/" + path)).arrayBuffer());
Object.assign(globalThis, { mge, levels, read, trainMnist, run: async (name, threads) => {
  globalThis.engines ??= {};
  const engine = (globalThis.engines[threads] ??= await mge.init({ threads }));
  return (await levels[name]({ mge, engine, read })) ?? "";
} });
globalThis.ready = true;
`;

let server, browser;
before(async () => {
  const js = join(repository, "js");
  server = await serve({ "/dist/": join(js, "dist"), "/test/": join(js, "test"), "/repo/": repository }, {
    "/index.html": html, "/plain.html": html.replace("/isolated/start.mjs", "/start.mjs"), "/start.mjs": script, "/mnist.bin": digits(20000, 2000),
    "/tag.html": `<!doctype html><title>tag</title><script src="dist/mge.global.js"></script>`,
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.close();
});

async function page(path, options) {
  const p = await open(browser, server.url + path, options);
  await p.waitForFunction(() => globalThis.ready || globalThis.mge);
  return p;
}

for (const [threads, path] of [[1, "/plain.html"], [2, "/isolated/index.html"]]) {
  describe(`Chromium, ${threads} thread(s)`, () => {
    let p;
    before(async () => {
      p = await page(path);
    });
    after(() => p?.close());
    for (const name of Object.keys(levels)) {
      test(name, async (t) => {
        const said = await p.evaluate(([n, k]) => globalThis.run(n, k), [name, threads]);
        if (said) t.diagnostic(said);
      });
    }
    test("nothing was blocked or failed", () => assert.deepEqual(p.errors, []));
  });
}

test("threads are used where memory may be shared, and one thread elsewhere, with the reason", async () => {
  const alone = await page("/plain.html");
  const shared = await page("/isolated/index.html");
  const info = (p) => p.evaluate(() => globalThis.mge.info({ threads: 2 }));
  assert.match((await info(alone)).whyNoThreads, /isolated/);
  assert.equal((await info(alone)).threads, 1);
  assert.deepEqual(await info(shared).then((i) => [i.threads, i.whyNoThreads, i.where]), [2, "", "worker"]);
  await alone.close();
  await shared.close();
});

test("L5: MNIST from scratch to over 97 % in a Worker; the page answers all the time", async (t) => {
  const p = await page("/plain.html");
  const r = await p.evaluate(async () => {
    const long = [];
    new PerformanceObserver((list) => long.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
    const bytes = await (await fetch("mnist.bin")).arrayBuffer();
    const result = await globalThis.trainMnist(globalThis.mge, bytes);
    return { ...result, where: (await globalThis.mge.info()).where, long };
  });
  assert.equal(r.where, "worker");
  t.diagnostic(`accuracy ${r.accuracy}, ${r.imagesPerSecond.toFixed(0)} images per second, long tasks: ${r.long.map(Math.round)}`);
  assert.deepEqual(p.errors, []);
  await p.close();
});

for (const path of ["/tag.html", "/isolated/tag.html"]) {
  test(`a script tag is enough: ${path}`, async () => {
    const p = await page(path);
    const model = [...(await readFile(join(repository, "tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge")))];
    const out = await p.evaluate(async (bytes) => {
      const m = await globalThis.mge.load(new Uint8Array(bytes));
      const { out_0 } = await m.run({ data: new Uint8Array(784) });
      return { shape: out_0.shape, where: (await globalThis.mge.info()).where };
    }, model);
    assert.deepEqual(out, { shape: [1, 10], where: "worker" });
    assert.deepEqual(p.errors, []);
    await p.close();
  });
}
