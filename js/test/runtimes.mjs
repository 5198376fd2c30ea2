// The package in Deno and Bun, which npm brings (100 MB each): npm run test:runtimes
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { repository } from "./browser.mjs";

const folder = mkdtempSync(join(tmpdir(), "mge-runtimes-"));
mkdirSync(join(folder, "node_modules"));
symlinkSync(join(repository, "js"), join(folder, "node_modules/mge.js"));
writeFileSync(join(folder, "package.json"), "{}");
const lenet = JSON.stringify(join(repository, "tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge"));
writeFileSync(join(folder, "main.mjs"), `import { init, load, optim } from "mge.js";
const model = await load(${lenet});
const { out_0 } = await model.run({ data: new Uint8Array(784) });
const trainer = await model.trainable({ loss: "crossEntropy", optimizer: new optim.Adam({ lr: 0.001 }) });
const { loss } = await trainer.step({ data: new Uint8Array(784) }, Uint8Array.of(3));
const saved = await load(await trainer.saveMge());
const two = await init({ threads: 2 });
console.log(JSON.stringify([out_0.shape, loss > 0, saved.inputs[0].name, two.info().threads, two.tensor([1, 2]).sum().item()]));
(globalThis.Deno ?? process).exit(0);
`);
after(() => rmSync(folder, { recursive: true, force: true }));

for (const [what, ...args] of [["deno@2.9.6", "deno", "run", "-A", "--node-modules-dir=manual"], ["bun@1.4.5", "bun"]]) {
  test(what, () => {
    const said = execFileSync("npm", ["exec", "--yes", `--package=${what}`, "--", ...args, "main.mjs"], { cwd: folder, encoding: "utf8", timeout: 300_000 });
    assert.deepEqual(JSON.parse(said.trim().split("\n").at(-1)), [[1, 10], true, "data", 2, 3]);
  });
}
