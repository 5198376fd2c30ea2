// The far side of load(): an Engine that answers messages. It runs in a Worker, or in the same thread.
import type { Engine } from "./engine.js";
import { init } from "./index.js";
import type { HostTensor, TypedArray } from "./data.js";
import type { Dataset, FitOptions, LoadOptions, Model, TrainOptions, Trainer } from "./model.js";
import type { StartOptions } from "./native.js";

export type Message =
  | { id: number; call: "info" }
  | { id: number; call: "load"; bytes: ArrayBuffer | ArrayBufferView; options: LoadOptions }
  | { id: number; call: "method"; object: number; method: string; args: unknown[] }
  | { id: number; call: "abort" }
  | { id: number; call: "part"; of: Part; data: TypedArray };
export type Reply = { id: number; value: unknown } | { id: number; error: string } | { id: number; event: string; args: unknown[] };

/** A place in an array that comes in parts, before the call that needs it: `array` names it. */
export interface Part {
  array: number;
  at: number;
  length: number;
}
/** Stands for the array in that call. */
export interface Sent {
  array: number;
}

/** What a proxy of a model or trainer is made from. */
export interface Described {
  object: number;
  info: unknown;
}

const METHODS = ["run", "profile", "saveMge", "trainable", "dispose", "step", "weights", "setWeights", "setLearningRate", "evaluate", "fit"];

export class Host {
  private engine?: Promise<Engine>;
  private readonly objects = new Map<number, Model | Trainer>();
  private readonly aborts = new Map<number, AbortController>();
  private readonly arrays = new Map<number, TypedArray>();
  private next = 0;

  constructor(
    private readonly options: StartOptions,
    private readonly send: (r: Reply, transfer: Transferable[]) => void,
    private readonly where: "worker" | "thread",
  ) {}

  async receive(m: Message): Promise<void> {
    if (m.call === "abort") return this.aborts.get(m.id)?.abort();
    if (m.call === "part") return this.put(m.of, m.data);
    try {
      const value = await this.answer(m);
      this.send({ id: m.id, value }, []);
    } catch (e) {
      this.send({ id: m.id, error: e instanceof Error ? e.message : String(e) }, []);
    }
  }

  private put({ array, at, length }: Part, data: TypedArray): void {
    if (!this.arrays.has(array)) this.arrays.set(array, new (data.constructor as new (n: number) => TypedArray)(length));
    this.arrays.get(array)!.set(data, at);
  }
  /** A data set whose arrays are here; they are this call's alone. */
  private whole(d: Dataset): Dataset {
    const array = (t: HostTensor): HostTensor => {
      if (ArrayBuffer.isView(t.data)) return t;
      const { array } = t.data as Sent;
      const data = this.arrays.get(array)!;
      this.arrays.delete(array);
      return { ...t, data };
    };
    return { inputs: Object.fromEntries(Object.entries(d.inputs).map(([k, t]) => [k, array(t)])), target: array(d.target) };
  }

  private describe(o: Model | Trainer): Described {
    this.objects.set(++this.next, o);
    return { object: this.next, info: o.info };
  }

  private async answer(m: Exclude<Message, { call: "abort" | "part" }>): Promise<unknown> {
    const engine = await (this.engine ??= init(this.options));
    if (m.call === "info") return { ...engine.info(), ...engine.memory(), where: this.where };
    if (m.call === "load") {
      const b = m.bytes;
      return this.describe(engine.load(b instanceof ArrayBuffer ? b : new Uint8Array(b.buffer as ArrayBuffer, b.byteOffset, b.byteLength), m.options));
    }
    if (m.method === "fit" || m.method === "evaluate") {
      const options = m.args[1] as FitOptions;
      m.args[0] = this.whole(m.args[0] as Dataset);
      if (options.validation) options.validation = this.whole(options.validation);
    }
    const o = this.objects.get(m.object);
    if (!o) throw new Error("this object was disposed");
    if (!METHODS.includes(m.method)) throw new Error(`there is no method '${m.method}'`);
    if (m.method === "dispose") this.objects.delete(m.object);
    if (m.method === "trainable") return this.describe((o as Model).trainable(m.args[0] as TrainOptions));
    if (m.method === "fit") return this.fit(o as Trainer, m);
    return (o as unknown as Record<string, (...a: unknown[]) => unknown>)[m.method](...m.args);
  }

  private async fit(t: Trainer, m: { id: number; args: unknown[] }) {
    const abort = new AbortController();
    this.aborts.set(m.id, abort);
    const event = (name: string) => (...args: unknown[]) => this.send({ id: m.id, event: name, args }, []);
    const [data, options] = m.args as [Dataset, FitOptions];
    try {
      return await t.fit(data, { ...options, signal: abort.signal, onBatchEnd: event("onBatchEnd"), onEpochEnd: event("onEpochEnd") });
    } finally {
      this.aborts.delete(m.id);
    }
  }
}
