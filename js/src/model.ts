// Model: a loaded graph. Trainer: the same graph while its weights change.
import { arrayOf, count, toHost, type DType, type Feed, type HostTensor, type TypedArray } from "./data.js";
import type { Engine } from "./engine.js";
import { randomNumbers } from "./nn.js";
import type { OptimizerSpec } from "./optim.js";
import type { Pointer } from "./native.js";
import { Tensor } from "./tensor.js";

export interface LoadOptions {
  /** Bytes that the values of one run may need; default: 512 MiB and 256 times the size of the file. */
  memoryLimit?: number;
}

export interface InputInfo {
  name: string;
  dtype: DType;
  /** As stored: a hint, other sizes may be fed. */
  shape: number[];
  optional: boolean;
}

export interface ModelInfo {
  /** "FBS", "FBS_V0" or "FBS_V2"; "" of a traced model. */
  format: string;
  inputs: InputInfo[];
  outputs: string[];
  /** Types of the operators, in the order of the file. */
  operators: string[];
  /** Numbers in constants and parameters. */
  elements: number;
}

export type Feeds = Record<string, Feed>;
export type Results = Record<string, HostTensor>;

export interface OpProfile {
  op: string;
  name: string;
  kernel: string;
  params: string;
  runs: number;
  /** Of one run. */
  milliseconds: number;
  /** Multiplications and additions of one run; left out where there is no formula. */
  flops?: number;
  bytes: number;
  outputs: number[][];
}
export interface Profile {
  outputs: Results;
  threads: number;
  milliseconds: number;
  ops: OpProfile[];
}

export interface SaveOptions {
  /** FBS is read by every release of MegEngine, FBS_V2 by 1.10 and later. Default: FBS_V2. */
  format?: "FBS" | "FBS_V2";
}

export interface TrainOptions {
  loss: "crossEntropy" | "meanSquaredError" | "output";
  optimizer: OptimizerSpec | { spec(): OptimizerSpec };
  /** Name or number of the output that the loss looks at; default: the first. */
  output?: string | number;
  /** Names of the constants to train; default: everything that looks like a weight. */
  weights?: string[];
}

function nameOf(names: string[], i: number): string {
  const same = names.indexOf(names[i]) !== i;
  return same || names[i] === "" ? `${names[i]}#${i}` : names[i];
}

abstract class Runnable {
  protected at: Pointer;
  constructor(
    readonly engine: Engine,
    at: Pointer,
    private readonly kind: "model" | "trainer",
  ) {
    this.at = at;
    engine.adopt(this, at, `${kind}_free`);
  }
  protected get pointer(): Pointer {
    if (this.at === 0) throw new Error(`this ${this.kind} was disposed`);
    return this.at;
  }
  dispose(): void {
    if (this.at !== 0) this.engine.release(this, this.at, `${this.kind}_free`);
    this.at = 0;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Copies feeds into the module, calls `fn` with them, and copies the results out. */
  protected runWith(inputs: InputInfo[], outputs: string[], feeds: Feeds, fn: (names: Pointer, bytes: number, at: Pointer, out: Pointer) => number): Results {
    const { engine } = this;
    return engine.scope(() => {
      const tensors = Object.entries(feeds).map(([name, feed]) => {
        if (feed instanceof Tensor) return feed;
        const input = inputs.find((i) => i.name === name);
        // The core says which names there are.
        const h = toHost(feed, input?.shape ?? [ArrayBuffer.isView(feed) ? feed.length : 1], input?.dtype ?? "float32");
        return engine.tensor(h.data, h.shape, h.dtype);
      });
      const names = new TextEncoder().encode(Object.keys(feeds).map((n) => n + "\0").join(""));
      const pointers = engine.native.with([names, tensors.map((t) => t.pointer)], (n, at) =>
        engine.native.results(outputs.length, (out) => fn(n, names.length, at, out)),
      );
      const results: Results = {};
      pointers.forEach((p, i) => (results[nameOf(outputs, i)] = new Tensor(engine, p).host()));
      return results;
    });
  }
  protected saveWith(call: string, options: SaveOptions): Uint8Array {
    const { native } = this.engine;
    return native.with([[0]], (size) => {
      const at = native.pointer(call, this.pointer, options.format === "FBS" ? 0 : 1, size);
      return native.u8.slice(at, at + new Uint32Array(native.u8.buffer, size, 1)[0]);
    });
  }
}

export class Model extends Runnable {
  readonly info: ModelInfo;

  /** Models come from Engine.load(), trace() and Sequential.toModel(). */
  constructor(engine: Engine, at: Pointer, private readonly options: LoadOptions) {
    super(engine, at, "model");
    this.info = engine.native.json("model_info", at);
  }
  get inputs(): InputInfo[] {
    return this.info.inputs;
  }
  get outputs(): string[] {
    return this.info.outputs;
  }
  /** Outputs by name for inputs by name. */
  run(feeds: Feeds): Results {
    return this.runWith(this.inputs, this.outputs, feeds, (n, bytes, at, out) =>
      this.engine.native.raw("model_run", this.pointer, n, bytes, at, 0, out),
    );
  }
  /** The same, and where the time goes: the mean of several runs where clocks are coarse, as browsers' are. */
  profile(feeds: Feeds, runs = 1): Profile {
    let outputs: Results = {};
    for (let i = 0; i < runs; ++i) {
      outputs = this.runWith(this.inputs, this.outputs, feeds, (n, bytes, at, out) =>
        this.engine.native.raw("model_run", this.pointer, n, bytes, at, i === 0 ? 1 : 2, out),
      );
    }
    const p = this.engine.native.json<Omit<Profile, "outputs" | "milliseconds">>("model_profile", this.pointer);
    for (const o of p.ops) o.milliseconds /= runs;
    return { outputs, milliseconds: p.ops.reduce((sum, o) => sum + o.milliseconds, 0), ...p };
  }
  /** The bytes of a `.mge` file. */
  saveMge(options: SaveOptions = {}): Uint8Array {
    return this.saveWith("model_save", options);
  }
  /** A trainer of a copy of the weights. */
  trainable(options: TrainOptions): Trainer {
    const { native } = this.engine;
    const output = typeof options.output === "string" ? this.outputs.indexOf(options.output) : (options.output ?? 0);
    if (output < 0) throw new Error(`the model has no output '${options.output}'; its outputs are '${this.outputs.join("', '")}'`);
    const o = "spec" in options.optimizer ? options.optimizer.spec() : options.optimizer;
    const loss = ["crossEntropy", "meanSquaredError", "output"].indexOf(options.loss);
    const kind = ["sgd", "adam", "rmsprop"].indexOf(o.kind);
    if (loss < 0) throw new Error(`there is no loss '${options.loss}'`);
    if (kind < 0) throw new Error(`there is no optimizer '${o.kind}'`);
    const eps = o.eps ?? (o.kind === "rmsprop" ? 1e-7 : 1e-8);
    const numbers = Float32Array.of(o.momentum ?? 0, o.beta1 ?? 0.9, o.beta2 ?? 0.999, o.decay ?? 0.9, eps, o.weightDecay ?? 0);
    const names = new TextEncoder().encode((options.weights ?? []).map((n) => n + "\0").join(""));
    const at = native.with([numbers, names], (x, n) =>
      native.pointer("trainer", this.pointer, output, loss, kind, x, n, names.length, this.options.memoryLimit ?? 0),
    );
    return new Trainer(this.engine, at, o, nameOf(this.outputs, output));
  }
}

export interface Dataset {
  inputs: Record<string, HostTensor>;
  target: HostTensor;
}

export interface Progress {
  epoch: number;
  batch: number;
  batches: number;
  loss: number;
  /** Of this batch; left out when the loss is not a cross entropy. */
  accuracy?: number;
  imagesPerSecond: number;
}
export interface Evaluation {
  loss: number;
  accuracy?: number;
}
export interface EpochEnd extends Progress {
  validation?: Evaluation;
}

export interface FitOptions {
  epochs?: number;
  /** Rows of one step; default 32. */
  batchSize?: number;
  /** Factor for inputs whose numbers are converted to the model's type, e.g. {data: 1 / 255} for uint8 pixels. */
  scale?: Record<string, number>;
  validation?: Dataset;
  /** Of the order of the rows; default 1. */
  seed?: number;
  signal?: AbortSignal;
  /** The first epoch and batch: where an earlier fit() was stopped. */
  start?: { epoch: number; batch: number };
  onBatchEnd?: (p: Progress) => void | Promise<void>;
  onEpochEnd?: (p: EpochEnd) => void | Promise<void>;
}

interface TrainerInfo {
  inputs: InputInfo[];
  outputs: string[];
  weights: { name: string; shape: number[] }[];
  state: { name: string; shape: number[] }[];
  target: string;
  learningRate: string;
  corrections: [string, string];
}

export const pause = () => new Promise<void>((go) => setTimeout(go, 0));

export class Trainer extends Runnable {
  readonly info: TrainerInfo;
  /** May be changed between steps. */
  learningRate: number;
  private steps = 0;

  constructor(engine: Engine, at: Pointer, private readonly optimizer: OptimizerSpec, private readonly output: string) {
    super(engine, at, "trainer");
    this.info = engine.native.json("trainer_info", at);
    this.learningRate = optimizer.lr;
  }
  setLearningRate(value: number): void {
    if (!(value > 0)) throw new Error(`the learning rate has to be above 0, not ${value}`);
    this.learningRate = value;
  }

  /** One step: the loss before it, and the model's outputs. `target`: labels, or the values to be met. */
  step(feeds: Feeds, target?: Feed): { loss: number; outputs: Results } {
    const { inputs, outputs, target: name, learningRate, corrections } = this.info;
    const all: Feeds = { ...feeds, [learningRate]: this.learningRate };
    if (name) {
      if (target === undefined) throw new Error(`the step needs a ${name}`);
      all[name] = this.asTarget(target, feeds);
    }
    const t = this.steps + 1;
    if (corrections[0]) {
      all[corrections[0]] = 1 / (1 - (this.optimizer.beta1 ?? 0.9) ** t);
      all[corrections[1]] = 1 / (1 - (this.optimizer.beta2 ?? 0.999) ** t);
    }
    const results = this.runWith(inputs, ["\0loss", ...outputs], all, (n, bytes, at, out) =>
      this.engine.native.raw("trainer_run", this.pointer, 1, n, bytes, at, out),
    );
    this.steps = t;
    const { ["\0loss"]: loss, ...rest } = results;
    return { loss: loss.data[0], outputs: rest };
  }
  private asTarget(target: Feed, feeds: Feeds): Feed {
    if (!ArrayBuffer.isView(target)) return target;
    if (this.info.target.startsWith("label")) {
      return { data: Int32Array.from(target), shape: [target.length], dtype: "int32" };
    }
    // As many rows as the first input.
    const first = Object.entries(feeds)[0];
    const input = this.info.inputs.find((i) => i.name === first?.[0]);
    const rows = first && toHost(first[1], input?.shape ?? [], "float32").shape[0];
    return rows && target.length % rows === 0 ? { data: target, shape: [rows, target.length / rows] } : target;
  }
  /** The model with its present weights. */
  run(feeds: Feeds): Results {
    return this.runWith(this.info.inputs, this.info.outputs, feeds, (n, bytes, at, out) =>
      this.engine.native.raw("trainer_run", this.pointer, 0, n, bytes, at, out),
    );
  }

  private value(i: number): Tensor {
    return new Tensor(this.engine, this.engine.native.pointer("trainer_value", this.pointer, i));
  }
  /** Copies of the weights. */
  weights(): Results {
    return this.engine.scope(() =>
      Object.fromEntries(this.info.weights.map((w, i) => [w.name, this.value(i).host()])),
    );
  }
  /** Replaces weights by name; the optimizer's state stays. */
  setWeights(values: Record<string, HostTensor>): void {
    this.engine.scope(() => {
      for (const [name, v] of Object.entries(values)) {
        const i = this.info.weights.findIndex((w) => w.name === name);
        if (i < 0) throw new Error(`there is no weight '${name}'`);
        if (v.shape.join() !== this.info.weights[i].shape.join()) throw new Error(`weight '${name}' has shape (${this.info.weights[i].shape.join(",")}), not (${v.shape.join(",")})`);
        this.value(i).fill(v.data);
      }
    });
  }
  /** The model with its present weights, as a `.mge` file. */
  saveMge(options: SaveOptions = {}): Uint8Array {
    return this.saveWith("trainer_save", options);
  }

  /** Rows `order[begin..end)` of a tensor, in the type of the input. */
  private rows(of: HostTensor, order: Uint32Array, begin: number, end: number, want: DType, scale = 1): HostTensor {
    const one = count(of.shape.slice(1));
    const same = JSON.stringify(want) === JSON.stringify(of.dtype);
    const array = arrayOf(same ? of.dtype : want);
    const to: TypedArray = new array(new ArrayBuffer((end - begin) * one * array.BYTES_PER_ELEMENT), 0, (end - begin) * one);
    for (let i = begin; i < end; ++i) {
      const row = of.data.subarray(order[i] * one, (order[i] + 1) * one);
      const at = (i - begin) * one;
      if (same || scale === 1) to.set(row, at);
      else for (let k = 0; k < one; ++k) to[at + k] = row[k] * scale;
    }
    return { data: to, shape: [end - begin, ...of.shape.slice(1)], dtype: same ? of.dtype : want };
  }
  private batch(d: Dataset, order: Uint32Array, begin: number, end: number, scale: Record<string, number>) {
    const feeds: Record<string, HostTensor> = {};
    for (const [name, t] of Object.entries(d.inputs)) {
      const dtype = this.info.inputs.find((i) => i.name === name)?.dtype ?? t.dtype;
      feeds[name] = this.rows(t, order, begin, end, dtype, scale[name]);
    }
    return { feeds, target: this.rows(d.target, order, begin, end, this.isLabel ? "int32" : "float32") };
  }
  private get isLabel(): boolean {
    return this.info.target.startsWith("label");
  }
  private right(scores: HostTensor, labels: HostTensor): number {
    const n = labels.shape[0];
    const classes = scores.data.length / n;
    let right = 0;
    for (let i = 0; i < n; ++i) {
      let best = 0;
      for (let c = 1; c < classes; ++c) if (scores.data[i * classes + c] > scores.data[i * classes + best]) best = c;
      right += best === labels.data[i] ? 1 : 0;
    }
    return right;
  }

  /** Loss and accuracy of the present weights; nothing changes. */
  async evaluate(d: Dataset, options: Pick<FitOptions, "batchSize" | "scale" | "signal"> = {}): Promise<Evaluation> {
    const n = d.target.shape[0];
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    const size = options.batchSize ?? 256;
    let loss = 0;
    let right = 0;
    for (let begin = 0; begin < n; begin += size) {
      options.signal?.throwIfAborted();
      const end = Math.min(begin + size, n);
      const b = this.batch(d, order, begin, end, options.scale ?? {});
      const y = this.run(b.feeds)[this.output];
      if (this.isLabel) right += this.right(y, b.target);
      loss += this.hostLoss(y, b.target) * (end - begin);
      await pause();
    }
    return { loss: loss / n, ...(this.isLabel ? { accuracy: right / n } : {}) };
  }
  // For reports; training computes its own.
  private hostLoss(y: HostTensor, target: HostTensor): number {
    const n = target.shape[0];
    const one = y.data.length / n;
    let sum = 0;
    for (let i = 0; i < n; ++i) {
      const row = y.data.subarray(i * one, (i + 1) * one);
      if (this.isLabel) {
        const top = Math.max(...row);
        let total = 0;
        let weight = 0;
        for (const v of row) {
          total += Math.exp(v - top);
          weight += v;
        }
        const probabilities = row.every((v) => v >= 0) && Math.abs(weight - 1) < 1e-3;
        sum += probabilities ? -Math.log(Math.max(row[target.data[i]], 1e-30)) : Math.log(total) - (row[target.data[i]] - top);
      } else {
        for (let k = 0; k < one; ++k) sum += (row[k] - target.data[i * one + k]) ** 2 / one;
      }
    }
    return sum / n;
  }

  /** Trains on all rows of a data set, in a new order in each epoch. Ends early, without an error, when `signal` says so;
   *  gives where it stopped. */
  async fit(d: Dataset, options: FitOptions = {}): Promise<{ epoch: number; batch: number }> {
    const n = d.target.shape[0];
    for (const [name, t] of Object.entries(d.inputs)) {
      if (t.shape[0] !== n) throw new Error(`input '${name}' has ${t.shape[0]} rows, the target ${n}`);
    }
    const size = Math.min(options.batchSize ?? 32, n);
    if (!(size > 0)) throw new Error("fit() needs at least one row");
    const batches = Math.floor(n / size);
    const start = options.start ?? { epoch: 0, batch: 0 };
    for (let epoch = start.epoch; epoch < (options.epochs ?? 1); ++epoch) {
      const order = shuffled(n, (options.seed ?? 1) + epoch);
      let last: Progress | undefined;
      for (let batch = epoch === start.epoch ? start.batch : 0; batch < batches; ++batch) {
        if (options.signal?.aborted) return { epoch, batch };
        const began = performance.now();
        const b = this.batch(d, order, batch * size, (batch + 1) * size, options.scale ?? {});
        const { loss, outputs } = this.step(b.feeds, b.target);
        last = { epoch, batch, batches, loss, imagesPerSecond: (1000 * size) / (performance.now() - began) };
        if (this.isLabel) last.accuracy = this.right(outputs[this.output], b.target) / size;
        await options.onBatchEnd?.(last);
        await pause();
      }
      if (options.signal?.aborted) return { epoch: epoch + 1, batch: 0 };
      const validation = options.validation && (await this.evaluate(options.validation, { scale: options.scale }));
      if (last) await options.onEpochEnd?.({ ...last, validation });
    }
    return { epoch: options.epochs ?? 1, batch: 0 };
  }
}

function shuffled(n: number, seed: number): Uint32Array {
  const random = randomNumbers(seed);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; --i) {
    const k = Math.floor(random() * (i + 1));
    [order[i], order[k]] = [order[k], order[i]];
  }
  return order;
}
