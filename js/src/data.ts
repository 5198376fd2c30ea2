// Arrays that travel between threads and go in and out of models.

export type DType =
  | "float32" | "float16" | "bfloat16" | "uint8" | "int8" | "uint16" | "int16" | "int32" | "bool"
  | { name: string; scale: number; zeroPoint?: number };

export type TypedArray =
  | Float32Array | Uint8Array | Int8Array | Uint16Array | Int16Array | Int32Array | Uint8ClampedArray;

/** A tensor outside of the module: row-major values. 16-bit floats are their bits. */
export interface HostTensor {
  data: TypedArray;
  shape: number[];
  dtype: DType;
}

/** What models take: typed arrays have the input's declared shape, with another batch size where they are longer. */
export type Feed = TypedArray | number | { data: TypedArray | number[]; shape: number[]; dtype?: DType };

const arrays: Record<string, { new (b: ArrayBufferLike, at: number, n: number): TypedArray; BYTES_PER_ELEMENT: number }> = {
  float32: Float32Array, int32: Int32Array, quantizeds32: Int32Array, int16: Int16Array, quantizeds16: Int16Array,
  uint16: Uint16Array, float16: Uint16Array, bfloat16: Uint16Array, int8: Int8Array, quantizeds8: Int8Array,
};

export function arrayOf(dtype: DType): (typeof arrays)[string] {
  return arrays[(typeof dtype === "string" ? dtype : dtype.name).toLowerCase()] ?? Uint8Array;
}

export function dtypeOf(data: TypedArray | number[]): DType {
  if (Array.isArray(data) || data instanceof Float32Array) return "float32";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof Int16Array) return "int16";
  if (data instanceof Uint16Array) return "uint16";
  if (data instanceof Int8Array) return "int8";
  return "uint8";
}

/** As the core reads it. */
export function dtypeText(dtype: DType): string {
  return typeof dtype === "string" ? dtype : [dtype.name, dtype.scale, ...(dtype.zeroPoint === undefined ? [] : [dtype.zeroPoint])].join(":");
}

export const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Values and shape of a feed for an input that declares `declared`. */
export function toHost(feed: Feed, declared: readonly number[], dtype: DType): HostTensor {
  if (typeof feed === "number") return { data: Float32Array.of(feed), shape: [1], dtype: "float32" };
  if (!ArrayBuffer.isView(feed)) {
    const type = feed.dtype ?? (Array.isArray(feed.data) ? dtype : dtypeOf(feed.data));
    const data = Array.isArray(feed.data) ? toArray(feed.data, type) : feed.data;
    return { data, shape: [...feed.shape], dtype: type };
  }
  let shape = [...declared];
  const one = count(shape.slice(1));
  if (shape.length > 0 && feed.length !== count(shape) && one > 0 && feed.length % one === 0) shape[0] = feed.length / one;
  if (count(shape) !== feed.length) {
    throw new Error(`${feed.length} values for an input of shape (${declared.join(",")}); give {data, shape}`);
  }
  return { data: feed, shape, dtype: dtypeOf(feed) === "uint8" && dtype === "bool" ? "bool" : dtypeOf(feed) };
}

function toArray(values: number[], dtype: DType): TypedArray {
  const array = arrayOf(dtype);
  const to = new array(new ArrayBuffer(values.length * array.BYTES_PER_ELEMENT), 0, values.length);
  to.set(values);
  return to;
}
