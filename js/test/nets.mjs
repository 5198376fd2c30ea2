// The networks of the well-known MNIST examples, and MNIST as data sets.

/** Three convolutions and two dense layers: 33,194 weights. */
export const convNet = (e) =>
  e.nn.sequential(
    e.nn.conv2d(1, 16, 3), e.nn.relu(), e.nn.maxPool2d(2),
    e.nn.conv2d(16, 32, 3), e.nn.relu(), e.nn.maxPool2d(2),
    e.nn.conv2d(32, 32, 3), e.nn.relu(), e.nn.flatten(),
    e.nn.linear(288, 64), e.nn.relu(), e.nn.linear(64, 10), e.nn.softmax(),
  );

/** 33,400 weights. */
export const denseNet = (e) =>
  e.nn.sequential(e.nn.flatten(), e.nn.linear(784, 42), e.nn.relu(), e.nn.linear(42, 10), e.nn.softmax());

export const leNet = (e) =>
  e.nn.sequential(
    e.nn.conv2d(1, 6, 5, { padding: 2 }), e.nn.relu(), e.nn.maxPool2d(2),
    e.nn.conv2d(6, 16, 5), e.nn.relu(), e.nn.maxPool2d(2), e.nn.flatten(),
    e.nn.linear(400, 120), e.nn.relu(), e.nn.linear(120, 84), e.nn.relu(), e.nn.linear(84, 10), e.nn.softmax(),
  );

/** Bytes of a model of one of them, with weights that were not trained. */
export function untrained(engine, net) {
  const layers = net(engine);
  const model = layers.toModel([1, 1, 28, 28]);
  const bytes = model.saveMge();
  model.dispose();
  layers.dispose();
  return bytes;
}

/** {train, test} of the file that scripts/mnist.mjs makes. */
export function dataSets(bytes) {
  const u8 = new Uint8Array(bytes);
  const view = new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
  const [n, m] = [view.getUint32(8, true), view.getUint32(12, true)];
  const labels = 16 + 784 * (n + m);
  const set = (from, count) => ({
    inputs: { data: { data: u8.subarray(16 + 784 * from, 16 + 784 * (from + count)), shape: [count, 1, 28, 28], dtype: "uint8" } },
    target: { data: u8.subarray(labels + from, labels + from + count), shape: [count], dtype: "uint8" },
  });
  return { train: set(0, n), test: set(n, m) };
}
