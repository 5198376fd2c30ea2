// ONNX files for the peers: just as much of the format as matrix products and LeNet need.
const varint = (n) => {
  const out = [];
  for (let v = BigInt.asUintN(64, BigInt(n)); ; v >>= 7n) {
    if (v < 128n) return [...out, Number(v)];
    out.push(Number(v & 127n) | 128);
  }
};
const int = (field, v) => [...varint(field << 3), ...varint(v)];
const bytes = (field, v) => [...varint((field << 3) | 2), ...varint(v.length), ...v];
const text = (field, v) => bytes(field, [...new TextEncoder().encode(v)]);

const attribute = ([name, v]) => {
  const list = Array.isArray(v);
  return bytes(5, [...text(1, name), ...(list ? v.flatMap((x) => int(8, x)) : int(3, v)), ...int(20, list ? 7 : 2)]);
};
/** A call: node("Conv", ["x", "w"], "y", {pads: [0, 0, 0, 0]}). */
export const node = (op, inputs, output, attributes = {}) => [
  ...inputs.flatMap((x) => text(1, x)), ...text(2, output), ...text(4, op), ...Object.entries(attributes).flatMap(attribute),
];
const value = (name, shape) => {
  const dims = shape.flatMap((d) => bytes(1, typeof d === "string" ? text(2, d) : int(1, d)));
  return [...text(1, name), ...bytes(2, bytes(1, [...int(1, 1), ...bytes(2, dims)]))];
};
const constant = ([name, { data, shape }]) => {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return bytes(5, [...shape.flatMap((d) => int(1, d)), ...int(2, data instanceof BigInt64Array ? 7 : 1), ...text(8, name), ...bytes(9, raw)]);
};
/** A model of opset 13. Inputs and outputs: {name: shape}; sizes may be names. */
export function model(nodes, constants, inputs, outputs) {
  const graph = [
    ...nodes.flatMap((n) => bytes(1, n)), ...text(2, "g"), ...Object.entries(constants).flatMap(constant),
    ...Object.entries(inputs).flatMap(([n, s]) => bytes(11, value(n, s))), ...Object.entries(outputs).flatMap(([n, s]) => bytes(12, value(n, s))),
  ];
  return Uint8Array.from([...int(1, 8), ...bytes(7, graph), ...bytes(8, [...text(1, ""), ...int(2, 13)])]);
}
