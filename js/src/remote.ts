// The near side of load(): models and trainers whose work is done elsewhere.
import { Host, type Described, type Message, type Reply, type Sent } from "./host.js";
import type { Info } from "./engine.js";
import type { Dataset, Evaluation, FitOptions, LoadOptions, Model, ModelInfo, Profile, Results, SaveOptions, TrainOptions, Trainer, Feeds } from "./model.js";
import type { Feed, HostTensor } from "./data.js";
import { pause } from "./model.js";
import { openWorker } from "./open-worker.js";
import { compile, threadsOf, type StartOptions } from "./native.js";
import type { Compiled } from "./worker.js";

export interface RemoteOptions extends StartOptions, LoadOptions {
  /** false: work in this thread. Default: a Worker in pages; this thread in Node and in Workers. */
  worker?: boolean;
  /** Of the Worker's script, when it is not beside this one. */
  workerUrl?: string | URL;
}

interface Port {
  /** Messages are copied on their way. */
  far: boolean;
  post(m: Message, transfer?: Transferable[]): void;
  close(): void;
}

const PART = 1 << 20; // bytes of a large array that are copied at once: about a millisecond

interface Call {
  done: (value: unknown) => void;
  fail: (e: Error) => void;
  events?: Record<string, ((...args: never[]) => unknown) | undefined>;
}

// An id that differs from call to call, and the answers that are waited for.
export class Connection {
  private readonly calls = new Map<number, Call>();
  private last = 0;
  private broken?: Error;
  port!: Port;

  receive(r: Reply): void {
    const call = this.calls.get(r.id);
    if (!call) return;
    if ("event" in r) {
      (call.events?.[r.event] as ((...a: unknown[]) => unknown) | undefined)?.(...r.args);
      return;
    }
    this.calls.delete(r.id);
    if ("error" in r) call.fail(new Error(r.error));
    else call.done(r.value);
  }
  fail(message: string): void {
    this.broken = new Error(message);
    for (const c of this.calls.values()) c.fail(this.broken);
    this.calls.clear();
  }
  // biome-ignore: the message's fields but its id
  private send<T>(m: Record<string, unknown>, events?: Call["events"], signal?: AbortSignal): Promise<T> {
    if (this.broken) return Promise.reject(this.broken);
    const id = ++this.last;
    return new Promise<T>((done, fail) => {
      this.calls.set(id, { done: done as (v: unknown) => void, fail, events });
      const abort = () => this.port.post({ id, call: "abort" });
      signal?.addEventListener("abort", abort, { once: true });
      try {
        this.port.post({ ...m, id } as Message);
      } catch (e) {
        this.calls.delete(id);
        fail(e as Error);
      }
      if (signal?.aborted) abort();
    });
  }
  method<T>(object: number, method: string, args: unknown[], events?: Call["events"], signal?: AbortSignal): Promise<T> {
    return this.send({ call: "method", object, method, args }, events, signal);
  }
  /** The same data set with its large arrays sent ahead, part by part, so that the page goes on. */
  async ahead(d: Dataset): Promise<Dataset> {
    const send = async (t: HostTensor): Promise<HostTensor> => {
      if (!this.port.far || t.data.byteLength <= PART) return t;
      const { length, BYTES_PER_ELEMENT } = t.data;
      const array = ++this.last;
      for (let at = 0; at < length; at += PART / BYTES_PER_ELEMENT) {
        if (this.broken) throw this.broken;
        const data = t.data.slice(at, at + PART / BYTES_PER_ELEMENT);
        this.port.post({ id: 0, call: "part", of: { array, at, length }, data }, [data.buffer]);
        await pause();
      }
      return { ...t, data: { array } as Sent as never };
    };
    const inputs: Dataset["inputs"] = {};
    for (const [k, t] of Object.entries(d.inputs)) inputs[k] = await send(t);
    return { inputs, target: await send(d.target) };
  }
  info(): Promise<Info & ReturnType<import("./engine.js").Engine["memory"]> & { where: "worker" | "thread" }> {
    return this.send({ call: "info" });
  }
  async load(bytes: ArrayBuffer | ArrayBufferView, options: LoadOptions): Promise<RemoteModel> {
    return new RemoteModel(this, await this.send({ call: "load", bytes, options }));
  }
}

abstract class Proxy {
  protected readonly object: number;
  constructor(
    protected readonly to: Connection,
    d: Described,
  ) {
    this.object = d.object;
  }
  dispose(): Promise<void> {
    return this.to.method(this.object, "dispose", []);
  }
  saveMge(options: SaveOptions = {}): Promise<Uint8Array> {
    return this.to.method(this.object, "saveMge", [options]);
  }
  run(feeds: Feeds): Promise<Results> {
    return this.to.method(this.object, "run", [feeds]);
  }
}

/** As Model, with promises. */
export class RemoteModel extends Proxy {
  readonly info: ModelInfo;
  constructor(to: Connection, d: Described) {
    super(to, d);
    this.info = d.info as ModelInfo;
  }
  get inputs() {
    return this.info.inputs;
  }
  get outputs() {
    return this.info.outputs;
  }
  profile(feeds: Feeds, runs = 1): Promise<Profile> {
    return this.to.method(this.object, "profile", [feeds, runs]);
  }
  async trainable(options: TrainOptions): Promise<RemoteTrainer> {
    const o = options.optimizer;
    const plain = { ...options, optimizer: "spec" in o ? o.spec() : o };
    return new RemoteTrainer(this.to, await this.to.method(this.object, "trainable", [plain]));
  }
}

/** As Trainer, with promises. */
export class RemoteTrainer extends Proxy {
  readonly info: Trainer["info"];
  constructor(to: Connection, d: Described) {
    super(to, d);
    this.info = d.info as Trainer["info"];
  }
  step(feeds: Feeds, target?: Feed): Promise<{ loss: number; outputs: Results }> {
    return this.to.method(this.object, "step", [feeds, target]);
  }
  weights(): Promise<Results> {
    return this.to.method(this.object, "weights", []);
  }
  setWeights(values: Record<string, HostTensor>): Promise<void> {
    return this.to.method(this.object, "setWeights", [values]);
  }
  setLearningRate(value: number): Promise<void> {
    return this.to.method(this.object, "setLearningRate", [value]);
  }
  async evaluate(d: Dataset, options: { batchSize?: number; scale?: Record<string, number> } = {}): Promise<Evaluation> {
    return this.to.method(this.object, "evaluate", [await this.to.ahead(d), options]);
  }
  async fit(d: Dataset, options: FitOptions = {}): Promise<{ epoch: number; batch: number }> {
    const { onBatchEnd, onEpochEnd, signal, ...plain } = options;
    if (plain.validation) plain.validation = await this.to.ahead(plain.validation);
    return this.to.method(this.object, "fit", [await this.to.ahead(d), plain], { onBatchEnd, onEpochEnd }, signal);
  }
}

export type RemoteOf = { model: Model; trainer: Trainer };

// One Worker for everything that is loaded with the same options.
const connections = new Map<string, Promise<Connection>>();

export function connect(options: RemoteOptions): Promise<Connection> {
  const inWorker = options.worker ?? (typeof window === "object" && typeof Worker === "function");
  const { threads, wasmUrl, workerUrl } = options;
  const key = JSON.stringify([inWorker, threads, String(wasmUrl), String(workerUrl)]);
  let known = options.wasmBinary ? undefined : connections.get(key);
  if (!known) {
    known = open(inWorker, options);
    if (!options.wasmBinary) connections.set(key, known);
  }
  return known;
}

async function open(inWorker: boolean, options: RemoteOptions): Promise<Connection> {
  const { threads, wasmUrl, wasmBinary } = options;
  const start: StartOptions = { threads, wasmUrl: wasmUrl && String(wasmUrl) };
  const c = new Connection();
  if (!inWorker) {
    const host = new Host({ ...start, wasmBinary }, (r) => c.receive(r), "thread");
    c.port = { far: false, post: (m) => void Promise.resolve().then(() => host.receive(m)), close: () => {} };
    return c;
  }
  const worker = openWorker(options.workerUrl);
  worker.onmessage = (e: MessageEvent<Reply>) => c.receive(e.data);
  worker.onerror = (e) => c.fail(`the Worker of mge.js failed: ${e.message ?? "its script can't be loaded"}`);
  // The page compiles while the Worker starts.
  worker.postMessage(start);
  threadsOf(start, true)
    .then((n) => compile(n, { ...start, wasmBinary }))
    .then(
      (compiled) => worker.postMessage({ compiled } satisfies Compiled),
      // It may not; then the Worker tries.
      (e) => worker.postMessage({ compiled: undefined, error: wasmBinary && e.message } satisfies Compiled),
    );
  c.port = { far: true, post: (m, transfer = []) => worker.postMessage(m, transfer), close: () => worker.terminate() };
  return c;
}
