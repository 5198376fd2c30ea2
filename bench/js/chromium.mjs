// node chromium.mjs [sgemm|lenet|convnet]: the same in headless Chromium, in a Worker of a page that is cross-origin isolated.
// Needs `npm ci` in js/ as well.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, open, repository, serve } from "../../js/test/browser.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(join(repository, "js/package.json"))("esbuild");
const out = mkdtempSync(join(tmpdir(), "mge-bench-"));
await build({
  stdin: {
    resolveDir: here,
    contents: `
      import * as tf from "@tensorflow/tfjs-core";
      import * as layers from "@tensorflow/tfjs-layers";
      import "@tensorflow/tfjs-backend-cpu";
      import * as wasm from "@tensorflow/tfjs-backend-wasm";
      import * as ort from "onnxruntime-web/wasm";
      import { bench } from "./bench.mjs";
      wasm.setWasmPaths("/isolated/tf/");
      wasm.setThreadsCount(1);
      ort.env.wasm.wasmPaths = "/isolated/ort/";
      ort.env.wasm.numThreads = 1;
      ort.env.logLevel = "error";
      onmessage = async (e) => {
        await bench({ tf, layers, ort, say: (text) => postMessage(text), only: e.data });
        postMessage("");
      };`,
  },
  bundle: true, format: "esm", platform: "browser", target: "es2022", outfile: join(out, "bench.js"), external: ["/isolated/mge/index.js"],
  alias: { "mge.js": "/isolated/mge/index.js" }, logLevel: "error",
});
const modules = join(here, "node_modules");
const server = await serve(
  { "/": out, "/mge/": join(repository, "js/dist"), "/tf/": join(modules, "@tensorflow/tfjs-backend-wasm/dist"), "/ort/": join(modules, "onnxruntime-web/dist") },
  {
    "/index.html": `<!doctype html><title>bench</title><script type="module" src="/isolated/page.js"></script>`,
    "/page.js": `globalThis.bench = (only) => new Promise((done, fail) => {
      const worker = new Worker("/isolated/bench.js", { type: "module" });
      worker.onmessage = (e) => (e.data ? console.log(e.data) : done());
      worker.onerror = (e) => fail(new Error(e.message));
      worker.postMessage(only);
    });`,
  },
  { unsafeEval: true },
);
const browser = await launch();
const page = await open(browser, `${server.url}/isolated/index.html`);
page.on("console", (m) => m.type() === "log" && console.log(m.text()));
console.log(`Chromium ${browser.version()}`);
await page.waitForFunction(() => globalThis.bench);
await page.evaluate((only) => globalThis.bench(only), process.argv[2] ?? "");
await browser.close();
server.close();
rmSync(out, { recursive: true });
