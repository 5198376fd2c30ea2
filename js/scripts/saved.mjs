// Files that saveMge() wrote, with inputs and what they give here, for check_saved.py: saved.mjs FOLDER
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as mge from "mge.js";
import { convNet, dataSets, denseNet, leNet, untrained } from "../test/nets.mjs";
import { digits } from "./mnist.mjs";

const folder = process.argv[2] ?? "saved";
mkdirSync(folder, { recursive: true });
const engine = await mge.init({ threads: 1 });
const { train, test } = dataSets(digits(2000, 200));
const list = [];
const plain = ({ data, shape, dtype }) => ({ data: [...data], shape, dtype });

function keep(name, model, feeds) {
  const outputs = Object.values(model.run(feeds)).map(plain);
  const inputs = Object.fromEntries(Object.entries(feeds).map(([k, v]) => [k, plain(v)]));
  for (const format of ["FBS", "FBS_V2"]) {
    const file = `${name}.${format}.mge`;
    writeFileSync(join(folder, file), model.saveMge({ format }));
    list.push({ file, inputs, outputs });
  }
}

const bytes = (n) => ({ data: test.inputs.data.data.slice(0, 784 * n), shape: [n, 1, 28, 28], dtype: "uint8" });
const floats = (n) => ({ ...bytes(n), data: Float32Array.from(bytes(n).data, (v) => v / 255), dtype: "float32" });
const lenet = engine.load(readFileSync(new URL("../../tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge", import.meta.url)));
keep("loaded", lenet, { data: bytes(4) });
const trainer = lenet.trainable({ loss: "crossEntropy", optimizer: new mge.SGD({ lr: 0.01, momentum: 0.9 }) });
for (let i = 0; i < 10; ++i) trainer.step({ data: bytes(4) }, Uint8Array.of(1, 2, 3, 4));
keep("trained", trainer, { data: bytes(4) });
for (const net of [convNet, denseNet, leNet]) {
  const t = engine.load(untrained(engine, net)).trainable({ loss: "crossEntropy", optimizer: new mge.Adam({ lr: 0.001 }) });
  await t.fit(train, { batchSize: 50, scale: { data: 1 / 255 } });
  keep(net.name, t, { data: floats(1) });
}
const [w, b] = [engine.tensor([1, -2, 0.5, 3], [2, 2]), engine.tensor([0.5, -1], [1, 2])];
const traced = engine.trace(({ x }) => ({ y: x.matmul(w).add(b).tanh(), z: engine.f.softmax(x.mul(2)), s: x.sigmoid().mean(1) }), { x: { shape: [3, 2] } }, { w, b });
keep("traced", traced, { x: { data: Float32Array.of(1, 2, -3, 4, 0.1, 0.2), shape: [3, 2], dtype: "float32" } });
writeFileSync(join(folder, "list.json"), JSON.stringify(list));
