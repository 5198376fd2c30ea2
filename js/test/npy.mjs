// NumPy's .npy files, as the recorded cases use them.
const KINDS = {
  "<f4": [Float32Array, "float32"], "<f2": [Uint16Array, "float16"], "<i4": [Int32Array, "int32"], "<i2": [Int16Array, "int16"],
  "<u2": [Uint16Array, "uint16"], "|u1": [Uint8Array, "uint8"], "|i1": [Int8Array, "int8"], "|b1": [Uint8Array, "bool"],
};

export function readNpy(bytes) {
  const u8 = new Uint8Array(bytes);
  const view = new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
  const wide = u8[6] > 1;
  const begin = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(u8.slice(begin, begin + length));
  const kind = /'descr': '([^']+)'/.exec(header)[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(",").map((s) => s.trim()).filter(Boolean).map(Number);
  const body = u8.slice(begin + length);
  if (kind === "<i8") return { data: Int32Array.from(new BigInt64Array(body.buffer), Number), shape, dtype: "int32" };
  if (kind === "<f8") return { data: Float32Array.from(new Float64Array(body.buffer)), shape, dtype: "float32" };
  if (!KINDS[kind]) throw new Error(`.npy of type ${kind}`);
  const [array, dtype] = KINDS[kind];
  return { data: new array(body.buffer), shape, dtype };
}

/** Numbers of a tensor: 16-bit floats decoded. */
export function numbers(t) {
  if (t.dtype === "bfloat16") {
    const f = new Float32Array(1);
    const u = new Uint32Array(f.buffer);
    return Float32Array.from(t.data, (b) => ((u[0] = b << 16), f[0]));
  }
  if (t.dtype !== "float16") return t.data;
  return Float32Array.from(t.data, (h) => {
    const sign = h & 0x8000 ? -1 : 1;
    const e = (h >> 10) & 31;
    const m = h & 1023;
    if (e === 31) return m ? NaN : sign * Infinity;
    return sign * (e ? 2 ** (e - 15) * (1 + m / 1024) : 2 ** -14 * (m / 1024));
  });
}
