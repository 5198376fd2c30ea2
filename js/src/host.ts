// The far side of load(): an Engine that answers messages. It runs in a Worker, or in the same thread.
import type { Engine } from "./engine.js";
import { init } from "./index.js";
import type { FitOptions, LoadOptions, Model, TrainOptions, Trainer } from "./model.js";
import type { StartOptions } from "./native.js";

export type Message =
  | { id: number; call: "info" }
  | { id: number; call: "load"; bytes: ArrayBuffer | ArrayBufferView; options: LoadOptions }
  | { id: number; call: "method"; object: number; method: string; args: unknown[] }
  | { id: number; call: "abort" };
export type Reply = { id: number; value: unknown } | { id: number; error: string } | { id: number; event: string; args: unknown[] };

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
  private next = 0;

  constructor(
    private readonly options: StartOptions,
    private readonly send: (r: Reply, transfer: Transferable[]) => void,
    private readonly where: "worker" | "thread",
  ) {}

  async receive(m: Message): Promise<void> {
    if (m.call === "abort") return this.aborts.get(m.id)?.abort();
    try {
      const value = await this.answer(m);
      this.send({ id: m.id, value }, []);
    } catch (e) {
      this.send({ id: m.id, error: e instanceof Error ? e.message : String(e) }, []);
    }
  }

  private describe(o: Model | Trainer): Described {
    this.objects.set(++this.next, o);
    return { object: this.next, info: o.info };
  }

  private async answer(m: Exclude<Message, { call: "abort" }>): Promise<unknown> {
    const engine = await (this.engine ??= init(this.options));
    if (m.call === "info") return { ...engine.info(), ...engine.memory(), where: this.where };
    if (m.call === "load") {
      const b = m.bytes;
      return this.describe(engine.load(b instanceof ArrayBuffer ? b : new Uint8Array(b.buffer as ArrayBuffer, b.byteOffset, b.byteLength), m.options));
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
    const [data, options] = m.args as [Parameters<Trainer["fit"]>[0], FitOptions];
    try {
      return await t.fit(data, { ...options, signal: abort.signal, onBatchEnd: event("onBatchEnd"), onEpochEnd: event("onEpochEnd") });
    } finally {
      this.aborts.delete(m.id);
    }
  }
}
