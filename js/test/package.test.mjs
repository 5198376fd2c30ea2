// What is published, how large it is, and that bundlers take it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import webpack from "webpack";
import { launch, open, repository, serve } from "./browser.mjs";

const js = join(repository, "js");
const size = (file) => execFileSync("gzip", ["-9c", join(js, "dist", file)], { maxBuffer: 2 ** 26 }).length;

test("npm pack has these files and no others", () => {
  const [pack] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: js, encoding: "utf8" }));
  const modules = ["alone", "data", "engine", "functional", "host", "index", "model", "native", "nn", "numbers", "open-worker", "optim", "remote", "tensor", "worker"];
  const want = [
    "LICENSE", "README.md", "package.json", "dist/index.cjs", "dist/mge.global.js",
    "dist/mge.simd.wasm", "dist/mge.simd-threads.js", "dist/mge.simd-threads.wasm",
    ...modules.flatMap((n) => [`dist/${n}.js`, `dist/${n}.d.ts`]),
  ];
  assert.deepEqual(pack.files.map((f) => f.path).sort(), want.sort());
});

test("the script and the module take at most 450 kB, gzipped", (t) => {
  const total = size("mge.global.js") + size("mge.simd.wasm");
  t.diagnostic(`mge.global.js ${size("mge.global.js")}, mge.simd.wasm ${size("mge.simd.wasm")}, mge.simd-threads.wasm ${size("mge.simd-threads.wasm")} bytes`);
  assert.ok(total <= 450_000, `${total} bytes`);
});

describe("bundlers", () => {
  const app = mkdtempSync(join(tmpdir(), "mge-bundle-"));
  let server, browser;
  before(async () => {
    mkdirSync(join(app, "node_modules"));
    symlinkSync(js, join(app, "node_modules/mge.js"));
    const source = (options) => `import { info, init, load } from "mge.js";
      globalThis.result = (async () => {
        const model = await load("./lenet.mge", ${options});
        const engine = await init({ threads: 1 ${options === "{}" ? "" : ', wasmUrl: "./mge.simd.wasm"'} });
        return [(await model.run({ data: new Uint8Array(784) })).out_0.shape.join(), (await info(${options})).where, engine.tensor([1, 2]).sum().item()];
      })();`;
    writeFileSync(join(app, "main.js"), source("{}"));
    writeFileSync(join(app, "main-esbuild.js"), source(`{ workerUrl: "./mge.global.js", wasmUrl: "./mge.simd.wasm" }`));
    for (const kind of ["vite", "esbuild", "webpack"]) {
      mkdirSync(join(app, kind));
      copyFileSync(join(repository, "tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge"), join(app, kind, "lenet.mge"));
    }
    browser = await launch();
    server = await serve({ "/": app });
  });
  after(async () => {
    await browser?.close();
    server?.close();
    rmSync(app, { recursive: true, force: true });
  });

  async function runs(kind, script) {
    writeFileSync(join(app, kind, "index.html"), `<!doctype html><title>${kind}</title><script type="module" src="./${script}"></script>`);
    const page = await open(browser, `${server.url}/${kind}/`);
    await page.waitForFunction(() => globalThis.result);
    assert.deepEqual(await page.evaluate(() => globalThis.result), ["1,10", "worker", 3]);
    assert.deepEqual(page.errors, []);
    await page.close();
  }

  test("Vite", async () => {
    await vite({
      root: app, base: "./", logLevel: "warn", configFile: false, worker: { format: "es" },
      build: { outDir: "vite", emptyOutDir: false, modulePreload: false, assetsInlineLimit: 0, target: "es2022", rollupOptions: { input: join(app, "main.js"), output: { entryFileNames: "app.js" } } },
    });
    await runs("vite", "app.js");
  });
  test("webpack", async () => {
    const stats = await new Promise((done, fail) =>
      webpack({ context: app, mode: "production", target: "web", entry: "./main.js", output: { path: join(app, "webpack"), filename: "app.js" }, performance: false }, (e, s) => (e ? fail(e) : done(s))),
    );
    assert.ok(!stats.hasErrors() && !stats.hasWarnings(), stats.toString());
    await runs("webpack", "app.js");
  });
  test("esbuild, with the script-tag build as the Worker", async () => {
    await esbuild({ absWorkingDir: app, entryPoints: ["main-esbuild.js"], bundle: true, format: "esm", platform: "browser", target: "es2022", outfile: "esbuild/app.js", logLevel: "error" });
    for (const file of ["mge.global.js", "mge.simd.wasm"]) copyFileSync(join(js, "dist", file), join(app, "esbuild", file));
    await runs("esbuild", "app.js");
    assert.ok(readdirSync(join(app, "esbuild")).includes("app.js"));
  });
});
