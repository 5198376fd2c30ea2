// The README's examples, as written: all JavaScript in Node, and those for pages and Workers in Chromium as well.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, copyFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { build } from "vite";
import { launch, repository, serve } from "./browser.mjs";

const js = join(repository, "js");
const folder = mkdtempSync(join(tmpdir(), "mge-readme-"));
mkdirSync(join(folder, "node_modules"));
symlinkSync(js, join(folder, "node_modules/mge.js"));
copyFileSync(join(js, "../tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge"), join(folder, "lenet.mge"));
after(() => rmSync(folder, { recursive: true, force: true }));

// What the examples find around them: pages' fetch() and postMessage(), and digits.
const around = `import { readFile } from "node:fs/promises";
globalThis.fetch = async (path) => ({ arrayBuffer: async () => { const b = await readFile(path); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); } });
globalThis.postMessage = (data) => { if (data.length !== 10) throw new Error("ten numbers"); };
`;
const digits = "const images = new Uint8Array(8 * 784), labels = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);\n";
const readme = readFileSync(join(js, "README.md"), "utf8");
const blocks = (language) => [...readme.matchAll(new RegExp("```" + language + "\n([\\s\\S]*?)```", "g"))].map(([, code]) => code);
const examples = blocks("js");

examples.forEach((code, i) => {
  test(`example ${i + 1} in Node: ${code.split("\n")[1]}`, () => {
    const file = join(folder, `example-${i + 1}.mjs`);
    writeFileSync(file, around + digits + code);
    execFileSync(process.execPath, [file], { cwd: folder, stdio: ["ignore", "ignore", "inherit"], timeout: 60_000 });
  });
});

describe("in Chromium", () => {
  const one = (pattern) => examples.find((code) => pattern.test(code));
  const parts = { page: one(/console\.log\(model\.inputs/), worker: one(/postMessage/), train: digits + one(/trainer\.step/), net: one(/valueAndGrad/) };
  let server, browser;
  before(async () => {
    for (const [name, code] of Object.entries(parts)) writeFileSync(join(folder, `${name}.js`), code);
    const start = `const w = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });\nw.onmessage = (e) => console.log(e.data.length);\nw.onerror = (e) => console.error(e.message);`;
    writeFileSync(join(folder, "start.js"), start);
    const pages = { page: "page", worker: "start", train: "train", net: "net" };
    for (const [name, script] of Object.entries(pages)) {
      writeFileSync(join(folder, `${name}.html`), `<!doctype html><title>${name}</title><script type="module" src="./${script}.js"></script>`);
    }
    await build({
      root: folder, base: "./", logLevel: "error", configFile: false, worker: { format: "es" },
      build: { target: "es2022", assetsInlineLimit: 0, rollupOptions: { input: Object.keys(pages).map((name) => join(folder, `${name}.html`)) } },
    });
    for (const file of ["mge.global.js", "mge.simd.wasm"]) copyFileSync(join(js, "dist", file), join(folder, "dist", file));
    for (const place of ["", "assets/"]) copyFileSync(join(folder, "lenet.mge"), join(folder, `dist/${place}lenet.mge`)); // beside the page, and the Worker
    const script = blocks("html")[0];
    writeFileSync(join(folder, "dist/tag.html"), `<!doctype html><title>tag</title>${script}`);
    server = await serve({ "/": join(folder, "dist") }, {}, { unsafeEval: true }); // the script tag's is inline
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  for (const [name, lines] of [["page", 2], ["tag", 1], ["worker", 1], ["train", 10], ["net", 5]]) {
    test(`${name}: says what it says`, async () => {
      const page = await browser.newPage();
      const said = [];
      const errors = [];
      page.on("pageerror", (e) => errors.push(String(e)));
      page.on("console", (m) => (m.type() === "error" ? /favicon|404/.test(m.text()) || errors.push(m.text()) : said.push(m.text())));
      await page.goto(`${server.url}/${name}.html`);
      for (let i = 0; i < 600 && said.length < lines && errors.length === 0; ++i) await page.waitForTimeout(50);
      assert.deepEqual(errors, []);
      assert.equal(said.length, lines, said.join("\n"));
      if (name === "page") assert.match(said[1], /Float32Array\(10\)/);
      if (name === "worker") assert.equal(said[0], "10");
      if (name === "train" || name === "net") assert.ok(Number(said.at(-1)) < Number(said[0]), said.join(" "));
      await page.close();
    });
  }
});
