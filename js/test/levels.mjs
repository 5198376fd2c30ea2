// The levels from "loads a model" to "trains MNIST", for Node and browsers alike. `c` has the package (mge), an engine in
// this thread, and read(path below the repository) -> bytes.
import { numbers, readNpy } from "./npy.mjs";

export function check(ok, what) {
  if (!ok) throw new Error(what);
}
export function near(got, want, tolerance, what) {
  check(got.length === want.length, `${what}: ${got.length} values, not ${want.length}`);
  for (let i = 0; i < want.length; ++i) {
    if (Math.abs(got[i] - want[i]) > tolerance * (1 + Math.abs(want[i]))) throw new Error(`${what}: [${i}] is ${got[i]}, not ${want[i]}`);
  }
}
async function fails(fn, pattern, what) {
  try {
    await fn();
  } catch (e) {
    check(e instanceof Error && pattern.test(e.message), `${what}: says '${e.message}'`);
    return;
  }
  throw new Error(`${what}: no error`);
}

const CASES = "tests/golden/cases";
const LENET = `${CASES}/mnist/lenet_u8_28x28`;
const json = async (c, path) => JSON.parse(new TextDecoder().decode(await c.read(path)));
const npy = async (c, path) => readNpy(await c.read(path));

// What differs between a recorded output and what came out; "" when it is close enough.
function difference(got, want, t, stochastic) {
  const same = got.shape.join() === want.shape.join() || (got.data.length === 1 && want.data.length === 1);
  if (!same) return `shape (${got.shape}) instead of (${want.shape})`;
  if (stochastic) return "";
  const a = numbers(got);
  const b = numbers(want);
  const unsigned = /sign/.test(t.note ?? "");
  for (let i = 0; i < b.length; ++i) {
    if (a[i] === b[i] || (Number.isNaN(a[i]) && Number.isNaN(b[i]))) continue;
    const d = unsigned ? Math.abs(Math.abs(a[i]) - Math.abs(b[i])) : Math.abs(a[i] - b[i]);
    if (t.bit_exact || !(d <= (t.atol ?? 0) + (t.rtol ?? 0) * Math.abs(b[i]))) return `[${i}] is ${a[i]} instead of ${b[i]}`;
  }
  return "";
}

async function runCase(c, folder, entry, format) {
  const dir = `${folder}/${entry.name}`;
  const want = format === "FBS_V2" && entry.outputs_v2 ? entry.outputs_v2 : entry.outputs;
  const model = c.engine.load(await c.read(`${dir}/${entry.files[format].file}`));
  try {
    const feeds = {};
    for (const i of model.inputs) {
      const file = entry.inputs.find((x) => x.name === i.name)?.file ?? want.find((x) => `${x.name}:expect` === i.name)?.file;
      if (file) feeds[i.name] = await npy(c, `${dir}/${file}`);
    }
    const results = model.run(feeds);
    let names = model.outputs.map((n, i) => (model.outputs.indexOf(n) !== i || n === "" ? `${n}#${i}` : n));
    if (names.length !== want.length) names = names.filter((n) => !/#\d+$/.test(n));
    check(names.length === want.length, `${names.length} outputs, not ${want.length}`);
    for (let i = 0; i < want.length; ++i) {
      const d = difference(results[names[i]], await npy(c, `${dir}/${want[i].file}`), entry.tolerance, entry.stochastic);
      check(d === "", `output ${i}: ${d}`);
    }
  } finally {
    model.dispose();
  }
}

/** All recorded cases of a folder, in both formats. */
export async function golden(c, folder) {
  const { cases } = await json(c, `${folder}/manifest.json`);
  const known = new TextDecoder().decode(await c.read("tests/known_failures.txt"));
  const wrong = [];
  let passed = 0;
  for (const entry of cases) {
    for (const format of Object.keys(entry.files)) {
      if (known.includes(`${entry.name} ${format}`)) continue;
      try {
        await runCase(c, folder, entry, format);
        ++passed;
      } catch (e) {
        wrong.push(`${entry.name} ${format}: ${e.message}`);
      }
    }
  }
  check(wrong.length === 0, `${wrong.length} cases differ, ${passed} pass: ${wrong.slice(0, 20).join("; ")}`);
  return `${passed} cases`;
}

/** Points near a line of three slopes, and the line itself from the normal equations. */
export function regression() {
  const n = 64;
  let s = 7;
  const random = () => ((s = (s * 16807) % 2147483647), s / 2147483647 - 0.5);
  const x = Float32Array.from({ length: 3 * n }, random);
  const y = Float32Array.from({ length: n }, (_, i) => 2 * x[3 * i] - 3 * x[3 * i + 1] + 0.5 * x[3 * i + 2] + 1.25 + 0.1 * random());
  const a = Array.from({ length: 4 }, () => new Array(5).fill(0));
  for (let i = 0; i < n; ++i) {
    const row = [x[3 * i], x[3 * i + 1], x[3 * i + 2], 1];
    for (let r = 0; r < 4; ++r) {
      for (let k = 0; k < 4; ++k) a[r][k] += row[r] * row[k];
      a[r][4] += row[r] * y[i];
    }
  }
  for (let p = 0; p < 4; ++p) {
    for (let r = 0; r < 4; ++r) {
      if (r === p) continue;
      const f = a[r][p] / a[p][p];
      for (let k = p; k < 5; ++k) a[r][k] -= f * a[p][k];
    }
  }
  return { n, x, y, best: a.map((row, r) => row[4] / row[r]) };
}

export const levels = {
  async "L0: a model and its data load"(c) {
    const model = c.engine.load(await c.read(`${LENET}/model_v2.mge`));
    check(model.info.format === "FBS_V2" && model.inputs[0].name === "data" && model.inputs[0].dtype === "uint8", JSON.stringify(model.info));
    const images = await npy(c, "tests/golden/mnist/images.npy");
    check(images.shape.slice(-2).join() === "28,28", `images ${images.shape}`);
    model.dispose();
    await fails(() => c.engine.load(new Uint8Array(100)), /model|magic|\.mge/i, "bytes that are no model");
    const whole = new Uint8Array(await c.read(`${LENET}/model_v2.mge`));
    for (const part of [0.1, 0.5, 0.99]) await fails(() => c.engine.load(whole.slice(0, whole.length * part)), /./, "a truncated model");
  },

  async "L1: matrix products, convolution and pooling"(c) {
    const e = c.engine;
    e.scope(() => {
      const a = e.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
      const b = e.tensor([1, 0, 2, -1, 0, 3], [3, 2]);
      near(a.matmul(b).data(), [5, 7, 14, 13], 0, "matmul");
      near(a.matmul(a, { transposeB: true }).data(), [14, 32, 32, 77], 0, "matmul, transposed");
      const x = e.tensor(Float32Array.from({ length: 2 * 16 }, (_, i) => i), [1, 2, 4, 4]);
      const w = e.tensor(Float32Array.from({ length: 18 }, () => 1), [1, 2, 3, 3]);
      near(e.f.conv2d(x, w).data(), [234, 252, 306, 324], 0, "convolution, NCHW");
      near(e.f.conv2d(x, w, e.tensor([1], [1, 1, 1, 1]), { padding: 1, stride: 2 }).data(), [85, 145, 199, 325], 0, "convolution with padding and stride");
      near(e.f.maxPool2d(x, 2).data(), [5, 7, 13, 15, 21, 23, 29, 31], 0, "max pooling");
      near(e.f.softmax(e.tensor([0, Math.log(3)], [1, 2])).data(), [0.25, 0.75], 1e-6, "softmax");
      near(e.op("Concat", { axis: 0 }, b, b).shape, [6, 2], 0, "concat");
    });
    check(e.memory().objects === 0, `${e.memory().objects} objects are left`);
  },

  async "L1: zeros keep the sign that the op's meaning gives them"(c) {
    const e = c.engine;
    const clip = (x, low, high) => (x <= low ? low : x <= high ? x : high);
    e.scope(() => {
      for (const n of [1, 3, 4, 33]) {
        for (const [low, high] of [[0, 6], [-0, 6], [-1, 0], [-1, -0]]) {
          const values = Float32Array.from({ length: n }, (_, i) => [0, -0, NaN, -2, 7][i % 5]);
          const bounds = [e.tensor([low], [1]), e.tensor([high], [1])];
          const call = (x) => e.op("Elemwise", { mode: "CLIP" }, x, ...bounds);
          const chain = e.trace(({ x }) => ({ y: e.op("Elemwise", { mode: "NEGATE" }, call(e.op("Elemwise", { mode: "NEGATE" }, x))) }), { x: { shape: [n] } });
          const ways = {
            float32: [call(e.tensor(values)).data(), (x) => clip(x, low, high)],
            float16: [e.op("Elemwise", { mode: "CLIP" }, ...[e.tensor(values), ...bounds].map((t) => t.cast("float16"))).cast("float32").data(), (x) => clip(x, low, high)],
            "a chain": [chain.run({ x: values }).y.data, (x) => -clip(-x, low, high)],
          };
          chain.dispose();
          for (const [way, [got, want]] of Object.entries(ways)) {
            const wrong = values.findIndex((x, i) => !Object.is(got[i], want(x)));
            check(wrong < 0, `CLIP(${values[wrong]}, ${low}, ${high}) of ${way} is ${got[wrong]}`);
          }
        }
      }
    });
  },

  async "L1: every recorded case of an op"(c) {
    return golden(c, CASES);
  },

  async "L2: linear regression forward"(c) {
    const e = c.engine;
    const { n, x, best } = regression();
    const y = e.scope(() => e.tensor(x, [n, 3]).matmul(e.tensor(best.slice(0, 3), [3, 1])).add(best[3]).data());
    near(y.subarray(0, 1), [x[0] * best[0] + x[1] * best[1] + x[2] * best[2] + best[3]], 1e-5, "line");
  },

  async "L3: linear regression learns the closed-form answer, eagerly"(c) {
    const e = c.engine;
    const { n, x, y, best } = regression();
    const w = { value: e.zeros([3, 1]) };
    const b = { value: e.zeros([1]) };
    const xs = e.tensor(x, [n, 3]);
    const ys = e.tensor(y, [n, 1]);
    const sgd = new c.mge.SGD({ lr: 0.5, momentum: 0.5 });
    const loss = (wv, bv) => e.f.meanSquaredError(xs.matmul(wv).add(bv), ys);
    for (let i = 0; i < 300; ++i) {
      const { value, grads } = e.valueAndGrad(loss, [w.value, b.value]);
      sgd.step([w, b], grads);
      for (const t of [value, ...grads]) t.dispose();
    }
    near([...w.value.data(), b.value.item()], best, 1e-3, "weights");
    for (const t of [w.value, b.value, xs, ys, sgd]) t.dispose();
    check(e.memory().objects === 0, `${e.memory().objects} objects are left`);
  },

  async "L3: every optimizer, planned, against its rule; and to the closed-form answer"(c) {
    const e = c.engine;
    const { n, x, y, best } = regression();
    const options = [new c.mge.SGD({ lr: 0.5 }), new c.mge.SGD({ lr: 0.3, momentum: 0.5, weightDecay: 1e-6 }), new c.mge.Adam({ lr: 0.05 }), new c.mge.RMSProp({ lr: 0.005 })];
    for (const optimizer of options) {
      const line = e.nn.sequential(e.nn.linear(3, 1));
      const model = line.toModel([n, 3]);
      const trainer = model.trainable({ loss: "meanSquaredError", optimizer });
      check(trainer.info.weights.length === 2, `weights: ${JSON.stringify(trainer.info.weights)}`);
      const parameters = Object.values(line.parameters());
      const eager = new optimizer.constructor(optimizer);
      const xs = e.tensor(x, [n, 3]);
      const ys = e.tensor(y, [n, 1]);
      for (let i = 0; i < 5; ++i) {
        const { value, grads } = e.valueAndGrad(() => e.f.meanSquaredError(line.forward(xs), ys), parameters.map((p) => p.value));
        const { loss } = trainer.step({ data: x }, y);
        near([loss], [value.item()], 1e-5, `${optimizer.spec().kind}: loss of step ${i}`);
        eager.step(parameters, grads);
        for (const t of [value, ...grads]) t.dispose();
      }
      for (let i = 0; i < 1500; ++i) {
        if (i === 1000) trainer.setLearningRate(optimizer.lr / 10);
        trainer.step({ data: x }, y);
      }
      const w = Object.values(trainer.weights()).flatMap((t) => [...t.data]);
      near(w, best, 5e-3, `${optimizer.spec().kind}: weights`);
      for (const o of [model, trainer, line, xs, ys, eager]) o.dispose();
    }
    check(e.memory().objects === 0, `${e.memory().objects} objects are left`);
  },

  async "L3: recorded training steps give the recorded weights"(c) {
    const { cases } = await json(c, `${CASES}/manifest.json`);
    let n = 0;
    for (const entry of cases.filter((x) => x.name.startsWith("train/"))) {
      for (const format of Object.keys(entry.files)) {
        await runCase(c, CASES, entry, format);
        ++n;
      }
    }
    check(n >= 4, `${n} steps`);
  },

  async "L4: LeNet reads the recorded digits"(c) {
    const model = c.engine.load(await c.read(`${LENET}/model_v2.mge`));
    const images = await npy(c, "tests/golden/mnist/images.npy");
    const labels = await npy(c, "tests/golden/mnist/labels.npy");
    const n = labels.data.length;
    const out = Object.values(model.run({ data: { ...images, shape: [n, 1, 28, 28] } }))[0];
    let right = 0;
    for (let i = 0; i < n; ++i) {
      const row = [...out.data.subarray(10 * i, 10 * i + 10)];
      right += row.indexOf(Math.max(...row)) === labels.data[i] ? 1 : 0;
    }
    check(right / n > 0.95, `${right} of ${n} digits`);
    const p = model.profile({ data: { ...images, shape: [n, 1, 28, 28] } }, 3);
    near(Object.values(p.outputs)[0].data, out.data, 0, "a profiled run");
    check(p.ops.some((o) => o.op.startsWith("Conv") && o.flops > 0 && o.runs === 3 && o.milliseconds >= 0), JSON.stringify(p.ops[0]));
    model.dispose();
  },

  async "L4: a saved model is the model"(c) {
    const e = c.engine;
    const model = e.load(await c.read(`${LENET}/model.mge`));
    const images = await npy(c, "tests/golden/mnist/images.npy");
    const feeds = { data: { data: images.data.subarray(0, 4 * 784), shape: [4, 1, 28, 28] } };
    const want = Object.values(model.run(feeds))[0].data;
    for (const format of ["FBS", "FBS_V2"]) {
      const again = e.load(model.saveMge({ format }));
      check(again.info.format === format, again.info.format);
      near(Object.values(again.run(feeds))[0].data, want, 0, format);
      again.dispose();
    }
    model.dispose();
  },

  async "a loaded inference model can be trained, saved and loaded again"(c) {
    const e = c.engine;
    const model = e.load(await c.read(`${LENET}/model_v2.mge`));
    const images = await npy(c, "tests/golden/mnist/images.npy");
    const labels = await npy(c, "tests/golden/mnist/labels.npy");
    const trainer = model.trainable({ loss: "crossEntropy", optimizer: new c.mge.SGD({ lr: 0.01, momentum: 0.9 }) });
    check(trainer.info.weights.length >= 8, `weights: ${trainer.info.weights.map((w) => w.name)}`);
    const n = labels.data.length;
    const feeds = { data: { ...images, shape: [n, 1, 28, 28] } };
    const before = Object.values(trainer.run(feeds))[0].data;
    near(Object.values(model.run(feeds))[0].data, before, 1e-5, "untrained");
    const wrong = labels.data.map((v) => (v + 1) % 10);
    const losses = [];
    for (let i = 0; i < 30; ++i) losses.push(trainer.step(feeds, wrong).loss);
    check(losses[29] < losses[0] / 2, `loss ${losses[0]} -> ${losses[29]}`);
    const after = Object.values(trainer.run(feeds))[0].data;
    const saved = e.load(trainer.saveMge());
    near(Object.values(saved.run(feeds))[0].data, after, 1e-5, "saved");
    near(Object.values(model.run(feeds))[0].data, before, 1e-5, "the model itself");
    for (const o of [saved, trainer, model]) o.dispose();
    check(e.memory().objects === 0, `${e.memory().objects} objects are left`);
  },

  async "mistakes are errors with the core's words, and the engine goes on"(c) {
    const e = c.engine;
    const a = e.tensor([1, 2, 3, 4], [2, 2]);
    const b = e.tensor([1, 2, 3], [3, 1]);
    await fails(() => a.matmul(b), /MatrixMul.*(2|3)/, "a matrix product that doesn't fit");
    await fails(() => e.op("NoSuchOp", {}, a), /NoSuchOp/, "an unknown op");
    await fails(() => e.op("Pooling", { mode: "MIN" }, a), /mode.*MIN.*MAX/, "an unknown enumerator");
    await fails(() => e.op("Pooling", { windowh: 1 }, a), /windowh/, "an unknown parameter");
    await fails(() => e.tensor([1, 2, 3], [2, 2]), /3 values/, "values that don't fill a shape");
    await fails(() => e.tensor(new Float32Array(1), [1, 1, 1, 1, 1, 1, 1, 1]), /8 dimensions/, "too many dimensions");
    const d = a.add(1);
    d.dispose();
    await fails(() => d.data(), /disposed/, "a disposed tensor");
    await fails(() => a.add(d), /disposed/, "an op of a disposed tensor");
    await fails(() => e.grad((x) => x.mul(2))(a), /one number/, "a gradient of a matrix");
    const model = e.load(await c.read(`${LENET}/model_v2.mge`));
    await fails(() => model.run({}), /data.*not fed/, "a missing feed");
    await fails(() => model.run({ image: new Uint8Array(784) }), /image.*data/, "a feed of an unknown name");
    await fails(() => model.run({ data: new Float32Array(784 * 4) }), /Uint8.*Float32/, "a feed of the wrong type");
    await fails(() => model.run({ data: new Uint8Array(5) }), /5 values/, "a feed of the wrong size");
    await fails(() => model.run({ data: { data: new Uint8Array(6), shape: [1, 2, 3] } }), /./, "a feed of the wrong shape");
    await fails(() => model.trainable({ loss: "crossEntropy", optimizer: new c.mge.SGD({ lr: 1 }), weights: ["nobody"] }), /nobody/, "a weight that is none");
    model.dispose();
    await fails(() => model.run({}), /disposed/, "a disposed model");
    e.scope(() => near(a.add(1).data(), [2, 3, 4, 5], 0, "afterwards"));
    a.dispose();
    b.dispose();
  },

  async "files that mean harm are errors, and the engine goes on"(c) {
    const e = c.engine;
    let s = 11;
    const random = (n) => ((s = (s * 16807) % 2147483647), s % n);
    const count = { refused: 0, "not run": 0, run: 0 };
    for (const file of [`${LENET}/model.mge`, `${LENET}/model_v2.mge`]) {
      const whole = new Uint8Array(await c.read(file));
      for (let i = 0; i < 200; ++i) {
        const bytes = whole.slice();
        // Near the ends, where the structure is and not the weights: bytes, and sizes that are too large.
        for (let k = 1 + random(3); k > 0; --k) {
          const at = random(2) ? random(2000) : bytes.length - 4 - random(4000);
          if (random(2)) bytes[at] = random(256);
          else new DataView(bytes.buffer).setUint32(at, [0x7fffffff, 0xffffffff, 0x10000, 0x40000000][random(4)], true);
        }
        let model;
        let how = "refused";
        try {
          model = e.load(bytes, { memoryLimit: 2 ** 26 });
          how = "not run";
          const feeds = {};
          for (const { name, dtype, shape } of model.inputs) feeds[name] = { data: new (dtype === "uint8" ? Uint8Array : Float32Array)(784), shape: shape.length === 4 ? [1, 1, 28, 28] : [784], dtype };
          model.run(feeds);
          how = "run";
        } catch (error) {
          check(error instanceof Error && error.message.length > 5 && !/stopped working/.test(error.message), `edit ${i} of ${file}: ${error.stack}`);
        }
        model?.dispose();
        ++count[how];
      }
    }
    check(count.refused > 100 && count.run > 10, JSON.stringify(count));
    check(e.memory().objects === 0 && e.memory().bytes < 2 ** 28, JSON.stringify(e.memory()));
    near(e.scope(() => e.tensor([1, 2]).add(1).data()), [2, 3], 0, "afterwards");
    return JSON.stringify(count);
  },

  async "ops called with anything are errors or results, and the engine goes on"(c) {
    const e = c.engine;
    let s = 7;
    const random = (n) => ((s = (s * 16807) % 2147483647), s % n);
    const from = (...list) => list[random(list.length)];
    const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array, float16: Uint16Array, bool: Uint8Array, int16: Int16Array };
    const shape = () => Array.from({ length: random(6) }, () => from(0, 1, 1, 2, 3, 4, 8, 17));
    const tensor = (dims) => {
      const dtype = random(3) ? "float32" : from(...Object.keys(arrays));
      const data = new arrays[dtype](dims.reduce((a, b) => a * b, 1));
      return e.tensor(data.map(() => (dtype === "bool" ? random(2) : random(5) ? random(4) : from(-1, 1e9, NaN, -7, 255))), dims, dtype);
    };
    const param = (p) => {
      if (p.values) return from(...p.values);
      if (typeof p.default === "boolean") return from(true, false);
      if (typeof p.default === "number") return from(0, 1, 2, 3, -1, 5, 1e9, -2147483648, 0.5);
      return Array.isArray(p.default) ? Array.from({ length: random(4) }, () => random(5) - 1) : from("", "float32", "x");
    };
    const all = e.ops();
    const count = { refused: 0, run: 0 };
    for (let i = 0; i < 3000; ++i) {
      const op = from(...all);
      e.scope(() => {
        const dims = shape();
        const inputs = Array.from({ length: Math.max(0, Math.min(6, op.inputs[0] + random(3) - (random(6) ? 0 : 1))) }, () => tensor(random(3) ? dims : shape()));
        const params = Object.fromEntries(op.params.filter(() => random(2)).map((p) => [p.name, param(p)]));
        try {
          for (const t of [e.op(op.name, params, ...inputs)].flat()) t?.data();
          ++count.run;
        } catch (error) {
          const call = () => `${op.name} ${JSON.stringify(params)} of ${inputs.map((t) => `${t.dtype}(${t.shape})`)}`;
          check(error instanceof Error && error.message.length > 5 && !/stopped working/.test(error.message), `${call()}: ${error.stack}`);
          ++count.refused;
        }
      });
    }
    // Found like this.
    await fails(() => e.scope(() => e.op("FusedElemwise", {}, e.tensor([1, 2]))), /steps/, "a chain without steps");
    near(e.scope(() => e.op("Padding", { front_offset_dim0: 1 }, e.tensor([3], [])).data()), [3], 0, "a number with borders");
    near(e.scope(() => e.tensor([1, 2, 3, 4], [2, 2]).matmul(e.tensor([1, 0, 0, 1], [2, 2])).data()), [1, 2, 3, 4], 0, "afterwards");
    check(count.run > 50 && e.memory().objects === 0, JSON.stringify([count, e.memory()]));
    return JSON.stringify(count);
  },

  async "memory that runs out is an error, and what was used is used again"(c) {
    const e = c.engine;
    const held = [];
    await fails(() => {
      for (;;) held.push(e.empty([16384, 16384]));
    }, /out of memory/, "a GiB, again and again");
    for (const t of held) t.dispose();
    const before = e.memory().bytes;
    check(before <= 2 ** 32 && held.length >= 2, `${held.length} GiB in ${before} bytes`);
    for (let i = 0; i < 50; ++i) e.scope(() => e.zeros([1024, 1024]).add(1));
    check(e.memory().bytes === before, `${before} -> ${e.memory().bytes} bytes`);
  },

  async "scopes, aliases and gradients of gradients"(c) {
    const e = c.engine;
    const start = e.memory().objects;
    const x = e.tensor([3]);
    const cube = (v) => v.mul(v).mul(v).sum();
    const g = e.grad((v) => e.valueAndGrad(cube, [v]).grads[0].sum());
    const [second] = g(x);
    near([second.item()], [18], 1e-6, "second derivative of x^3 at 3");
    const kept = e.scope(() => ({ a: [x.add(1)], b: x.add(2).keep(), c: x.add(3) && 0 }));
    near([kept.a[0].item(), kept.b.item()], [4, 5], 0, "results of a scope");
    const other = x.alias();
    x.dispose();
    near([other.item()], [3], 0, "alias");
    for (const t of [second, kept.a[0], kept.b, other]) t.dispose();
    check(e.memory().objects === start, `${e.memory().objects - start} objects are left`);
  },
};
