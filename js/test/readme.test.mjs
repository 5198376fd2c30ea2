// The README's JavaScript, as written.
import { mkdtempSync, readFileSync, copyFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const js = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = mkdtempSync(join(tmpdir(), "mge-readme-"));
mkdirSync(join(folder, "node_modules"));
symlinkSync(js, join(folder, "node_modules/mge.js"));
copyFileSync(join(js, "../tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge"), join(folder, "lenet.mge"));
after(() => rmSync(folder, { recursive: true, force: true }));

// What the examples find around them: pages' fetch() and postMessage(), and digits.
const around = `import { readFile } from "node:fs/promises";
globalThis.fetch = async (path) => ({ arrayBuffer: async () => { const b = await readFile(path); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); } });
globalThis.postMessage = (data) => { if (data.length !== 10) throw new Error("ten numbers"); };
const images = new Uint8Array(8 * 784), labels = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
`;
const readme = readFileSync(join(js, "README.md"), "utf8");
[...readme.matchAll(/```js\n([\s\S]*?)```/g)].forEach(([, code], i) => {
  test(`example ${i + 1}: ${code.split("\n")[1]}`, () => {
    const file = join(folder, `example-${i + 1}.mjs`);
    writeFileSync(file, around + code);
    execFileSync(process.execPath, [file], { cwd: folder, stdio: ["ignore", "ignore", "inherit"], timeout: 60_000 });
  });
});
