// A build with no other ops than LeNet's training needs (mge_js_lenet in js/CMakeLists.txt): its size, and that it trains.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import * as whole from "mge.js";
import { repository } from "./browser.mjs";
import { check } from "./levels.mjs";
import { leNet, untrained } from "./nets.mjs";

const built = join(repository, "build/wasm/js");
const dist = mkdtempSync(join(tmpdir(), "mge-trimmed-"));
cpSync(join(repository, "js/dist"), dist, { recursive: true });
for (const end of ["js", "wasm"]) copyFileSync(join(built, `mge.lenet.${end}`), join(dist, `mge.simd.${end}`));
after(() => rmSync(dist, { recursive: true, force: true }));

test("a build for LeNet's training takes less than the whole one", (t) => {
  const size = (file) => execFileSync("gzip", ["-9c", join(dist, file)], { maxBuffer: 2 ** 26 }).length;
  const total = size("mge.global.js") + size("mge.simd.wasm");
  t.diagnostic(`${total} bytes with the script, ${size("mge.simd.wasm")} without`);
  assert.ok(total <= 255_000, `${total} bytes`);
});

test("it trains LeNet, saves it, and says which ops it lacks", async () => {
  const bytes = untrained(await whole.init({ threads: 1 }), leNet);
  const mge = await import(pathToFileURL(join(dist, "index.js")));
  const engine = await mge.init({ threads: 1 });
  assert.ok(engine.ops().length < 120, `${engine.ops().length} ops`);
  const model = engine.load(bytes);
  const trainer = model.trainable({ loss: "crossEntropy", optimizer: new mge.Adam({ lr: 0.002 }) });
  const images = Float32Array.from({ length: 10 * 784 }, (_, i) => ((i * 7919) % 255) / 255);
  const labels = Uint8Array.from({ length: 10 }, (_, i) => i);
  const losses = [];
  for (let i = 0; i < 60; ++i) losses.push(trainer.step({ data: images }, labels).loss);
  check(losses[59] < losses[0] / 2, `loss ${losses[0]} -> ${losses[59]}`);
  const [a, b] = [trainer.run({ data: images }), engine.load(trainer.saveMge()).run({ data: images })].map((r) => Object.values(r)[0].data);
  assert.ok(a.every((v, i) => Math.abs(v - b[i]) < 1e-5));
  assert.throws(() => engine.op("Argsort", {}, engine.tensor([1, 2], [1, 2])), /Argsort/);
});
