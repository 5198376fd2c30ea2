// Tensor: a value in the module's memory.
import { arrayOf, count, type DType, type HostTensor, type TypedArray } from "./data.js";
import type { Engine } from "./engine.js";
import type { Pointer } from "./native.js";

export type Operand = Tensor | number;

export class Tensor {
  private at: Pointer;
  private info?: { dtype: DType; shape: number[]; bytes: number };

  /** Tensors come from an Engine: tensor(), op(), or the functions of engine.f. */
  constructor(
    readonly engine: Engine,
    at: Pointer,
    shape?: number[],
    dtype?: DType,
  ) {
    this.at = at;
    if (shape && typeof dtype === "string") this.info = { dtype, shape: [...shape], bytes: count(shape) * arrayOf(dtype).BYTES_PER_ELEMENT };
    engine.adopt(this, at);
  }

  /** The object in the module; throws when the tensor was disposed. */
  get pointer(): Pointer {
    if (this.at === 0) throw new Error("this tensor was disposed");
    return this.at;
  }
  get disposed(): boolean {
    return this.at === 0;
  }
  private get about() {
    return (this.info ??= this.engine.native.json("tensor_info", this.pointer));
  }
  get shape(): number[] {
    return [...this.about!.shape];
  }
  get dtype(): DType {
    return this.about!.dtype;
  }
  get size(): number {
    return count(this.about!.shape);
  }

  /** A copy of the values, row-major. */
  data(): TypedArray {
    const native = this.engine.native;
    const at = this.size === 0 ? 0 : native.pointer("tensor_data", this.pointer);
    const bytes = native.u8.slice(at, at + this.about!.bytes);
    const array = arrayOf(this.dtype);
    return new array(bytes.buffer, 0, bytes.length / array.BYTES_PER_ELEMENT);
  }
  /** Writes values into a tensor that nothing else reads yet. */
  fill(values: TypedArray): this {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (bytes.length !== this.about!.bytes) {
      throw new Error(`${values.length} values for a tensor of shape (${this.shape.join(",")})`);
    }
    if (bytes.length > 0) {
      const at = this.engine.native.pointer("tensor_data", this.pointer);
      this.engine.native.u8.set(bytes, at);
    }
    return this;
  }
  host(): HostTensor {
    return { data: this.data(), shape: this.shape, dtype: this.dtype };
  }
  /** The only value. */
  item(): number {
    if (this.size !== 1) throw new Error(`item() of a tensor of shape (${this.shape.join(",")})`);
    return this.data()[0];
  }

  dispose(): void {
    if (this.at !== 0) this.engine.release(this, this.at);
    this.at = 0;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
  /** Outlives the scope that it was made in. */
  keep(): this {
    this.engine.keep(this);
    return this;
  }
  /** Another handle of the same values. */
  alias(): Tensor {
    return new Tensor(this.engine, this.engine.native.pointer("tensor_copy", this.pointer));
  }

  private el(mode: string, ...more: Operand[]): Tensor {
    return this.engine.f.elemwise(mode, this, ...more);
  }
  add(o: Operand): Tensor { return this.el("ADD", o); }
  sub(o: Operand): Tensor { return this.el("SUB", o); }
  mul(o: Operand): Tensor { return this.el("MUL", o); }
  div(o: Operand): Tensor { return this.el("TRUE_DIV", o); }
  pow(o: Operand): Tensor { return this.el("POW", o); }
  neg(): Tensor { return this.el("NEGATE"); }
  exp(): Tensor { return this.el("EXP"); }
  log(): Tensor { return this.el("LOG"); }
  relu(): Tensor { return this.el("RELU"); }
  sigmoid(): Tensor { return this.el("SIGMOID"); }
  tanh(): Tensor { return this.el("TANH"); }
  matmul(o: Tensor, options?: { transposeA?: boolean; transposeB?: boolean }): Tensor {
    return this.engine.f.matmul(this, o, options);
  }
  reshape(...shape: number[]): Tensor { return this.engine.f.reshape(this, shape); }
  transpose(...order: number[]): Tensor { return this.engine.f.transpose(this, order); }
  sum(axis?: number): Tensor { return this.engine.f.reduce("SUM", this, axis); }
  mean(axis?: number): Tensor { return this.engine.f.reduce("MEAN", this, axis); }
  max(axis?: number): Tensor { return this.engine.f.reduce("MAX", this, axis); }
  min(axis?: number): Tensor { return this.engine.f.reduce("MIN", this, axis); }
  argmax(axis: number): Tensor { return this.engine.op("Argmax", { axis }, this); }
  cast(dtype: DType): Tensor { return this.engine.op("TypeCvt", { dtype }, this); }
}
