// Builds dist/ from src/ and from what CMake built: build.mjs [FOLDER OF wasm] [FOLDER OF wasm-threads]
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const [simd, threads] = [process.argv[2] ?? "../build/wasm/js", process.argv[3] ?? "../build/wasm-threads/js"];

function replaceOnce(text, from, to) {
  if (text.split(from).length !== 2) throw new Error(`Emscripten's script changed: it has no, or several, '${from}'`);
  return text.replace(from, to);
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const typescript = createRequire(import.meta.url).resolve("typescript/package.json");
execFileSync(process.execPath, [join(dirname(typescript), "bin/tsc"), "-p", root], { stdio: "inherit" });

copyFileSync(join(root, simd, "mge.simd.wasm"), join(dist, "mge.simd.wasm"));
copyFileSync(join(root, threads, "mge.simd-threads.wasm"), join(dist, "mge.simd-threads.wasm"));
// Bundlers for browsers must not look for Node's modules, and want to see how a Worker is made.
let glue = readFileSync(join(root, threads, "mge.simd-threads.js"), "utf8");
glue = glue.replace(/\bimport\((["'](module|worker_threads)["'])\)/g, "import(/* webpackIgnore: true */ /* @vite-ignore */ [$1][0])");
const options = /workerOptions=(\{[^}]*\})/.exec(glue)[1];
glue = replaceOnce(glue, `import.meta.url),workerOptions)`, `import.meta.url),${options})`);
// One file: what its import of another would make bundlers split off, every Worker would have to ask for.
const numbers = readFileSync(join(dist, "numbers.js"), "utf8").replace(/^export /gm, "");
writeFileSync(join(dist, "mge.simd-threads.js"), `${numbers}${glue}`);

const common = { bundle: true, minify: true, target: "es2022", logLevel: "warning", legalComments: "none" };
await build({
  ...common,
  entryPoints: [join(dist, "index.js")],
  outfile: join(dist, "index.cjs"),
  format: "cjs",
  platform: "node",
  external: ["./mge.simd-threads.js"],
  define: { "import.meta.url": "mgeUrl" },
  banner: { js: `const mgeUrl = require("url").pathToFileURL(__filename).href;` },
});
await build({
  ...common,
  entryPoints: [join(dist, "global.js")],
  outfile: join(dist, "mge.global.js"),
  format: "iife",
  globalName: "mge",
  define: { "import.meta.url": "mgeUrl" },
  banner: { js: `var mgeUrl=globalThis.document?.currentScript?.src??globalThis.location?.href;` },
  plugins: [
    {
      name: "script-tag",
      setup(b) {
        b.onResolve({ filter: /open-worker\.js$/ }, () => ({ path: join(dist, "open-worker-global.js") }));
        // One file without threads: a thread's script would have to be a file of its own.
        b.onResolve({ filter: /mge\.simd-threads\.js$/ }, () => ({ path: "none", namespace: "none" }));
        b.onLoad({ filter: /./, namespace: "none" }, () => ({ contents: "" }));
      },
    },
  ],
});
for (const file of readdirSync(dist)) {
  if (/^(global|open-worker-global)\.(js|d\.ts)$/.test(file)) rmSync(join(dist, file));
}
if (!existsSync(join(root, "LICENSE"))) copyFileSync(join(root, "../LICENSE"), join(root, "LICENSE"));
