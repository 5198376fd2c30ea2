// mge.js beside its peers, in Node and Chromium: one table. `peers` has tf, ort and how to prepare them; `only` filters.
import { init, optim } from "mge.js";
import { convNet, leNet } from "../../js/test/nets.mjs";
import { model as onnx, node } from "./onnx.mjs";

// Milliseconds of one call: the best of several rounds of at least 30 ms, for other work on the machine only adds. `clock`
// counts processor time where there is one to ask for: it leaves the other work out.
let clock = () => performance.now();
async function best(fn, seconds = 1, now = clock) {
  await fn();
  let least = Infinity;
  const end = performance.now() + 1000 * seconds;
  for (let round = 0; round < 3 || performance.now() < end; ++round) {
    const began = now();
    let calls = 0;
    do {
      await fn();
      ++calls;
    } while (now() - began < 30);
    least = Math.min(least, (now() - began) / calls);
  }
  return least;
}
const numbers = (n, seed = 1) => Float32Array.from({ length: n }, () => ((seed = (seed * 16807) % 2147483647), seed / 2147483647 - 0.5));

function lenetOnnx(w, batch) {
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  const nodes = [
    node("Conv", ["data", "0.weight"], "a0", { pads: [2, 2, 2, 2] }), node("Add", ["a0", "0.bias"], "a1"), node("Relu", ["a1"], "a2"), node("MaxPool", ["a2"], "a3", pool),
    node("Conv", ["a3", "3.weight"], "b0", { pads: [0, 0, 0, 0] }), node("Add", ["b0", "3.bias"], "b1"), node("Relu", ["b1"], "b2"), node("MaxPool", ["b2"], "b3", pool),
    node("Reshape", ["b3", "shape"], "c"),
    node("Gemm", ["c", "7.weight", "7.bias"], "d0", { transB: 1 }), node("Relu", ["d0"], "d1"),
    node("Gemm", ["d1", "9.weight", "9.bias"], "e0", { transB: 1 }), node("Relu", ["e0"], "e1"),
    node("Gemm", ["e1", "11.weight", "11.bias"], "f", { transB: 1 }), node("Softmax", ["f"], "out", { axis: 1 }),
  ];
  return onnx(nodes, { ...w, shape: { data: BigInt64Array.of(-1n, 400n), shape: [2] } }, { data: [batch, 1, 28, 28] }, { out: [batch, 10] });
}

// Weights of convolutions (O,I,H,W) become (H,W,I,O), those of dense layers (O,I) become (I,O) and follow NHWC.
function tfWeights(tf, w, flat) {
  const out = [];
  for (const [name, { data, shape }] of Object.entries(w)) {
    const t = tf.tensor(data, shape);
    if (name.endsWith("bias")) out.push(tf.tensor1d(data));  // its wasm backend sees through a reshape
    else if (shape.length === 4) out.push(tf.transpose(t, [2, 3, 1, 0]));
    else if (name === flat?.name) out.push(tf.reshape(tf.transpose(tf.reshape(t, [shape[0], flat.c, flat.h, flat.h]), [2, 3, 1, 0]), [-1, shape[0]]));
    else out.push(tf.transpose(t));
  }
  return out;
}
function tfConvNet(tf, layers) {
  const m = layers.sequential();
  const conv = (filters, more = {}) => m.add(layers.layers.conv2d({ filters, kernelSize: 3, activation: "relu", ...more }));
  const pool = () => m.add(layers.layers.maxPooling2d({ poolSize: 2, strides: 2 }));
  conv(16, { inputShape: [28, 28, 1] });
  pool();
  conv(32);
  pool();
  conv(32);
  m.add(layers.layers.flatten());
  m.add(layers.layers.dense({ units: 64, activation: "relu" }));
  m.add(layers.layers.dense({ units: 10, activation: "softmax" }));
  m.compile({ optimizer: "rmsprop", loss: "categoricalCrossentropy" });
  return m;
}
function tfLeNet(layers) {
  const m = layers.sequential();
  m.add(layers.layers.conv2d({ filters: 6, kernelSize: 5, padding: "same", activation: "relu", inputShape: [28, 28, 1] }));
  m.add(layers.layers.maxPooling2d({ poolSize: 2, strides: 2 }));
  m.add(layers.layers.conv2d({ filters: 16, kernelSize: 5, activation: "relu" }));
  m.add(layers.layers.maxPooling2d({ poolSize: 2, strides: 2 }));
  m.add(layers.layers.flatten());
  for (const [units, activation] of [[120, "relu"], [84, "relu"], [10, "softmax"]]) m.add(layers.layers.dense({ units, activation }));
  return m;
}

export async function bench({ tf, layers, ort, say, threads = 2, only = "", processorTime }) {
  clock = processorTime ?? clock;
  const rows = [];
  const row = (what, unit, values, wanted) => {
    rows.push({ what, unit, ...values });
    const text = Object.entries(values).map(([k, v]) => `${k} ${v === undefined ? "–" : v.toFixed(2)}`).join(", ");
    say(`${what}: ${text} ${unit}${wanted ? ` (${wanted(values) ? "met" : "NOT met"})` : ""}`);
  };
  const wants = (part) => part.includes(only);
  const engine = await init({ threads: 1 });

  if (wants("sgemm")) {
    for (const n of [256, 512]) {
      const [a, b] = [numbers(n * n, 3), numbers(n * n, 5)];
      const gflops = (ms) => (2 * n ** 3) / ms / 1e6;
      const [x, y] = [engine.tensor(a, [n, n]), engine.tensor(b, [n, n])];
      const mge = gflops(await best(() => x.matmul(y).dispose()));
      await tf.setBackend("wasm");
      const [p, q] = [tf.tensor2d(a, [n, n]), tf.tensor2d(b, [n, n])];
      const tfjs = gflops(await best(() => tf.dispose(tf.matMul(p, q))));
      const session = await ort.InferenceSession.create(onnx([node("MatMul", ["a", "b"], "c")], {}, { a: [n, n], b: [n, n] }, { c: [n, n] }));
      const feeds = { a: new ort.Tensor("float32", a, [n, n]), b: new ort.Tensor("float32", b, [n, n]) };
      const onnxruntime = gflops(await best(() => session.run(feeds)));
      row(`SGEMM ${n}`, "GFLOP/s", { mge, tfjs, onnxruntime }, (v) => v.mge >= v.tfjs && v.mge >= v.onnxruntime);
    }
  }
  const weightsOf = (net) => Object.fromEntries(Object.entries(net.parameters()).map(([k, p]) => [k, p.value.host()]));

  if (wants("lenet")) {
    const net = leNet(engine);
    const w = weightsOf(net);
    await tf.setBackend("wasm");
    const theirs = tfLeNet(layers);
    theirs.setWeights(tfWeights(tf, w, { name: "7.weight", c: 16, h: 5 }));
    for (const batch of [1, 32]) {
      const pixels = numbers(784 * batch, 9);
      const model = net.toModel([batch, 1, 28, 28]);
      const session = await ort.InferenceSession.create(lenetOnnx(w, batch));
      const run = {
        mge: () => model.run({ data: pixels }).out.data,
        tfjs: () => tf.tidy(() => theirs.predict(tf.tensor4d(pixels, [batch, 28, 28, 1])).dataSync()),
        onnxruntime: async () => (await session.run({ data: new ort.Tensor("float32", pixels, [batch, 1, 28, 28]) })).out.data,
      };
      const want = await run.onnxruntime();
      for (const [name, fn] of Object.entries(run)) {
        const got = await fn();
        if (!got.every((v, i) => Math.abs(v - want[i]) < 1e-4)) throw new Error(`${name} gives other numbers: ${got.slice(0, 10)} and ${want.slice(0, 10)}`);
      }
      const values = {};
      for (const [name, fn] of Object.entries(run)) values[name] = await best(fn);
      row(`LeNet, batch ${batch}`, "ms", values, (v) => v.mge < v.tfjs && v.mge < v.onnxruntime);
      model.dispose();
    }
  }

  if (wants("convnet")) {
    const batch = 320;
    const pixels = numbers(784 * batch, 9);
    const labels = Uint8Array.from({ length: batch }, (_, i) => i % 10);
    const step = async (e) => {
      const net = convNet(e);
      const trainer = net.toModel([batch, 1, 28, 28]).trainable({ loss: "crossEntropy", optimizer: new optim.RMSProp({ lr: 0.001 }) });
      return best(() => trainer.step({ data: pixels }, labels), 5, e === engine ? clock : () => performance.now());
    };
    const mge = await step(engine);
    const more = await init({ threads });
    const parallel = more.info().threads > 1 ? await step(more) : undefined;
    // Their time grows with the batch; theirs at 32, times 10, saves minutes.
    await tf.setBackend("cpu");
    const theirs = tfConvNet(tf, layers);
    const x = tf.tensor4d(pixels.subarray(0, 784 * 32), [32, 28, 28, 1]);
    const y = tf.oneHot(tf.tensor1d([...labels.subarray(0, 32)], "int32"), 10);
    const began = clock();
    await theirs.trainOnBatch(x, y);
    const tfjsCpu = 10 * (clock() - began);
    row("ConvNet step, batch 320", "ms", { mge, [`mge ${threads} threads`]: parallel, tfjsCpu }, (v) => 10 * v.mge <= v.tfjsCpu && (parallel === undefined || v.mge >= 1.6 * parallel));
  }
  return rows;
}
