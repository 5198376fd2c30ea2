// Engine: the core in this thread. Everything here is synchronous once it has started.
import { arrayOf, count, dtypeOf, dtypeText, type DType, type TypedArray } from "./data.js";
import { Functions } from "./functional.js";
import { Model, type LoadOptions } from "./model.js";
import type { Native, Pointer } from "./native.js";
import { nnOf } from "./nn.js";
import { Tensor } from "./tensor.js";

/** A parameter of an op. Names of enumerators are strings; lists of pairs and quintuples may be nested. */
export type Param = string | number | boolean | bigint | DType | readonly (number | readonly number[])[];

export interface OpInfo {
  name: string;
  doc: string;
  inputs: [number, number];
  gradient: boolean;
  params: { name: string; doc: string; default: unknown; values?: string[] }[];
}

export interface Info {
  version: string;
  /** Instruction set: "wasm". */
  isa: string;
  threads: number;
  /** Why there is one thread; "" when there are more, or one was asked for. */
  whyNoThreads: string;
}

function paramText(v: Param): string {
  if (Array.isArray(v)) return v.flat().join(",");
  if (typeof v === "object") return dtypeText(v as DType);
  return String(v);
}

const MAX_RESULTS = 64;

export class Engine {
  readonly f: Functions = new Functions(this);
  readonly nn: ReturnType<typeof nnOf> = nnOf(this);
  /** Tensors, models and trainers that were not disposed before the garbage collector found them. */
  leaked = 0;
  private live = 0;
  private scopes: Set<Tensor>[] = [];
  private readonly lost = new FinalizationRegistry<() => void>((free) => {
    ++this.leaked;
    free();
  });

  constructor(
    readonly native: Native,
    private readonly about: { whyNoThreads: string },
  ) {}

  info(): Info {
    return { ...this.native.json<Omit<Info, "whyNoThreads">>("info"), ...this.about };
  }
  /** The ops that this build knows. */
  ops(): OpInfo[] {
    return this.native.json("registry");
  }
  /** What is alive, and the size of the module's memory. */
  memory(): { objects: number; leaked: number; bytes: number } {
    return { objects: this.live, leaked: this.leaked, bytes: this.native.module.wasmMemory.buffer.byteLength };
  }
  /** Restarts the numbers of random ops. */
  seed(value: number): void {
    this.native.raw("seed", value);
  }

  /** A tensor of these values; the shape defaults to one axis. */
  tensor(values: TypedArray | number[] | number, shape?: number[], dtype?: DType): Tensor {
    const list = typeof values === "number" ? [values] : values;
    const type = dtype ?? dtypeOf(list);
    const dims = shape ?? [list.length];
    if (count(dims) !== list.length) throw new Error(`${list.length} values for a tensor of shape (${dims.join(",")})`);
    const array = arrayOf(type);
    const typed = ArrayBuffer.isView(list) && list.BYTES_PER_ELEMENT === array.BYTES_PER_ELEMENT && (dtype === undefined || list instanceof (array as never as new () => TypedArray));
    const t = this.empty(dims, type);
    if (typed) return t.fill(list as TypedArray);
    const converted = new array(new ArrayBuffer(list.length * array.BYTES_PER_ELEMENT), 0, list.length);
    converted.set(list as ArrayLike<number>);
    return t.fill(converted);
  }
  zeros(shape: number[], dtype: DType = "float32"): Tensor {
    const n = count(shape);
    const array = arrayOf(dtype);
    return this.empty(shape, dtype).fill(new array(new ArrayBuffer(n * array.BYTES_PER_ELEMENT), 0, n));
  }
  /** A tensor whose values are yet to be filled in. */
  empty(shape: number[], dtype: DType = "float32"): Tensor {
    return this.native.with([dtypeText(dtype), shape], (name, dims) => {
      return new Tensor(this, this.native.pointer("tensor", name, shape.length, dims), shape, dtype);
    });
  }

  /** Calls an op by its name: op("Pooling", {mode: "MAX", window_h: 2, window_w: 2}, x). Its only or first result. */
  op(name: string, params: Record<string, Param | undefined>, ...inputs: Tensor[]): Tensor {
    const [first, ...rest] = this.opAll(name, params, ...inputs);
    for (const t of rest) t.dispose();
    return first;
  }
  /** All results. */
  opAll(name: string, params: Record<string, Param | undefined>, ...inputs: Tensor[]): Tensor[] {
    const lines = Object.entries(params)
      .filter(([, v]) => v !== undefined)
      .map(([k, v]) => `${k}=${paramText(v!)}`)
      .join("\n");
    return this.native.with([name, lines, inputs.map((t) => t.pointer)], (op, attrs, at) =>
      this.native
        .results(MAX_RESULTS, (out) => this.native.raw("op", op, attrs, inputs.length, at, MAX_RESULTS, out))
        .map((p) => new Tensor(this, p)),
    );
  }

  /** The value of fn(...inputs), one number, and its gradient with respect to each input; null where it has none. */
  valueAndGrad(fn: (...inputs: Tensor[]) => Tensor, inputs: Tensor[]): { value: Tensor; grads: (Tensor | null)[] } {
    const tape = this.native.pointer("tape");
    try {
      for (const t of inputs) this.native.count("tape_watch", tape, t.pointer);
      let grads: (Tensor | null)[] = [];
      const value = this.scope(() => {
        const y = fn(...inputs);
        if (y.size !== 1) throw new Error(`the gradient of a value of shape (${y.shape.join(",")}); it has to be one number`);
        const pointers = this.native.with([inputs.map((t) => t.pointer)], (wrt) =>
          this.native.results(inputs.length, (out) =>
            this.native.raw("tape_gradients", tape, y.pointer, inputs.length, wrt, out),
          ),
        );
        grads = pointers.map((p) => (p === 0 ? null : new Tensor(this, p).keep()));
        return y;
      });
      for (const g of grads) if (g) this.scopes.at(-1)?.add(g);
      return { value, grads };
    } finally {
      this.native.raw("tape_free", tape);
    }
  }
  /** A function that gives the gradients of `fn`. */
  grad(fn: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => (Tensor | null)[] {
    return (...inputs) => {
      const { value, grads } = this.valueAndGrad(fn, inputs);
      value.dispose();
      return grads;
    };
  }

  /** Runs `fn`; tensors made in it are disposed, but those that it returns (also in arrays and objects) or keep()s. */
  scope<R>(fn: () => R): R {
    const mine = new Set<Tensor>();
    this.scopes.push(mine);
    let result: R;
    try {
      result = fn();
      if (result instanceof Promise) throw new Error("a scope's function can't be asynchronous");
    } catch (e) {
      this.scopes.pop();
      for (const t of mine) t.dispose();
      throw e;
    }
    this.scopes.pop();
    for (const t of tensorsIn(result)) {
      if (mine.delete(t)) this.scopes.at(-1)?.add(t);
    }
    for (const t of mine) t.dispose();
    return result;
  }
  keep(t: Tensor): void {
    for (const s of this.scopes) s.delete(t);
  }

  /** A model from the bytes of a `.mge` file. */
  load(bytes: ArrayBuffer | Uint8Array, options: LoadOptions = {}): Model {
    const u8 = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
    const at = this.native.with([u8], (p) => this.native.pointer("load", p, u8.length, options.memoryLimit ?? 0));
    return new Model(this, at, options);
  }
  /** A model of what `fn` does with its inputs: the calls that it makes, for any batch size that they allow. */
  trace(fn: (inputs: Record<string, Tensor>) => Record<string, Tensor>, inputs: Record<string, { shape: number[]; dtype?: DType }>,
        parameters: Record<string, Tensor> = {}, options: LoadOptions = {}): Model {
    const n = this.native;
    return this.scope(() => {
      const examples = Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, this.zeros(v.shape, v.dtype)]));
      const recorder = n.pointer("record");
      try {
        const named = (call: string, tensors: Record<string, Tensor>) => {
          for (const [name, t] of Object.entries(tensors)) n.with([name], (p) => n.count(call, recorder, t.pointer, p));
        };
        named("record_input", examples);
        named("record_parameter", parameters);
        named("record_output", fn(examples));
        return new Model(this, n.pointer("record_model", recorder, options.memoryLimit ?? 0), options);
      } finally {
        n.raw("record_free", recorder);
      }
    });
  }

  // For Tensor, Model and Trainer.
  adopt(o: object, at: Pointer, free = "tensor_free"): void {
    ++this.live;
    if (o instanceof Tensor) this.scopes.at(-1)?.add(o);
    const native = this.native;
    this.lost.register(o, () => { --this.live; native.raw(free, at); }, o);
  }
  release(o: object, at: Pointer, free = "tensor_free"): void {
    --this.live;
    if (o instanceof Tensor) this.keep(o);
    this.lost.unregister(o);
    this.native.raw(free, at);
  }
}

function* tensorsIn(v: unknown): Generator<Tensor> {
  if (v instanceof Tensor) yield v;
  else if (Array.isArray(v)) for (const x of v) yield* tensorsIn(x);
  else if (v && typeof v === "object" && Object.getPrototypeOf(v) === Object.prototype) yield* tensorsIn(Object.values(v));
}
