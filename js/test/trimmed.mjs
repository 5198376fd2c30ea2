// The build for LeNet's training and no more (mge_js_lenet in js/CMakeLists.txt): its size, and what it does and refuses.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import * as whole from "mge.js";
import { repository } from "./browser.mjs";
import { near } from "./levels.mjs";
import { convNet, leNet, untrained } from "./nets.mjs";
import { readNpy } from "./npy.mjs";

const dist = mkdtempSync(join(tmpdir(), "mge-trimmed-"));
cpSync(join(repository, "js/dist"), dist, { recursive: true });
copyFileSync(join(repository, "build/wasm/js/mge.lenet.wasm"), join(dist, "mge.simd.wasm"));
after(() => rmSync(dist, { recursive: true, force: true }));
const recorded = (file) => readFileSync(join(repository, "tests/golden/cases/mnist", file));
const values = (results) => Object.values(results)[0].data;

let mge, engine;
before(async () => {
  mge = await import(pathToFileURL(join(dist, "index.js")));
  engine = await mge.init({ threads: 1 });
});

test("script and module take at most 150 kB, gzipped", (t) => {
  const size = (file) => execFileSync("gzip", ["-9c", join(dist, file)], { maxBuffer: 2 ** 26 }).length;
  const total = size("mge.global.js") + size("mge.simd.wasm");
  t.diagnostic(`${total} bytes with the script, ${size("mge.simd.wasm")} without`);
  assert.ok(total <= 150_000, `${total} bytes`);
});

for (const format of ["model.mge", "model_v2.mge"]) {
  test(`it gives the recorded outputs of LeNet from ${format}, and trains it`, () => {
    const model = engine.load(recorded(`lenet_b8/${format}`));
    const feeds = { data: readNpy(recorded("lenet_b8/in_data.npy")) };
    near(values(model.run(feeds)), readNpy(recorded("lenet_b8/out_0.npy")).data, 1e-5, format);
    const trainer = model.trainable({ loss: "crossEntropy", optimizer: new mge.SGD({ lr: 0.01, momentum: 0.9 }) });
    const losses = Array.from({ length: 20 }, () => trainer.step(feeds, Uint8Array.from({ length: 8 }, (_, i) => i)).loss);
    assert.ok(losses[19] < losses[0] / 2, `loss ${losses[0]} -> ${losses[19]}`);
  });
}

for (const net of [leNet, convNet]) {
  for (const optimizer of ["SGD", "Adam", "RMSProp"]) {
    test(`${optimizer} trains ${net.name} as in the whole build, and it is saved`, async () => {
      const other = await whole.init({ threads: 1 });
      const bytes = untrained(other, net);
      const images = (n) => ({ data: Float32Array.from({ length: n * 784 }, (_, i) => ((i * 7919) % 255) / 255) });
      const losses = [mge, whole].map((m, k) => {
        const trainer = [engine, other][k].load(bytes).trainable({ loss: "crossEntropy", optimizer: new m[optimizer]({ lr: 0.002 }) });
        const r = [10, 10, 7, 1, 33, 10].map((n) => trainer.step(images(n), Uint8Array.from({ length: n }, (_, i) => i % 10)).loss);
        if (k === 0) {
          for (const format of ["FBS", "FBS_V2"])
            near(values(engine.load(trainer.saveMge({ format })).run(images(3))), values(trainer.run(images(3))), 1e-5, format);
        }
        return r;
      });
      near(losses[0], losses[1], 1e-4, "losses");
    });
  }
}

test("what it lacks is named", () => {
  assert.ok(engine.ops().length < 60, `${engine.ops().length} ops`);
  const trimmed = (fn, what) => assert.throws(fn, (e) => what.test(e.message) && /trimmed/.test(e.message));
  trimmed(() => engine.op("Argsort", {}, engine.tensor([1, 2], [1, 2])), /'op'/);
  trimmed(() => engine.grad((x) => x)(engine.tensor([1], [1])), /'tape'/);
  trimmed(() => engine.tensor([1], [1], "float16"), /Float16/);
  const padded = engine.load(recorded("lenet_u8_28x28/model_v2.mge"));
  trimmed(() => padded.run({ data: readNpy(recorded("lenet_u8_28x28/in_data.npy")) }), /Padding/);
  assert.throws(() => engine.load(recorded("lenet_b8/model.mge").subarray(0, 5000)), /damaged/);
});
