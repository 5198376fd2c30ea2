// The file of digits that the build makes (scripts/mnist.mjs), and digits as a model wants them.
import type { HostTensor, InputInfo } from "mge.js";

export interface Digits {
  images: Uint8Array;
  labels: Uint8Array;
  count: number;
}

/** Loads and unpacks a file; `progress` gets what part is there. */
export async function loadDigits(url: string, progress: (part: number) => void): Promise<{ train: Digits; test: Digits }> {
  const reply = await fetch(url);
  if (!reply.ok || !reply.body) throw new Error(`${url}: HTTP ${reply.status}`);
  const total = Number(reply.headers.get("content-length")) || 11e6;
  let got = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, to) {
      got += chunk.length;
      progress(Math.min(1, got / total));
      to.enqueue(chunk);
    },
  });
  const unpacked = reply.body.pipeThrough(counted).pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>);
  const u8 = new Uint8Array(await new Response(unpacked).arrayBuffer());
  const view = new DataView(u8.buffer);
  const [n, m] = [view.getUint32(8, true), view.getUint32(12, true)];
  const labels = 16 + 784 * (n + m);
  const part = (from: number, count: number): Digits => ({
    images: u8.subarray(16 + 784 * from, 16 + 784 * (from + count)),
    labels: u8.subarray(labels + from, labels + from + count),
    count,
  });
  return { train: part(0, n), test: part(n, m) };
}

/** Side and type of the pictures that an input takes; null when it takes none. */
export function pictureInput(inputs: InputInfo[]): { name: string; side: number; float: boolean } | null {
  const i = inputs.find((x) => !x.optional) ?? inputs[0];
  if (!i) return null;
  const side = Math.round(Math.sqrt(i.shape.slice(1).reduce((a, b) => a * b, 1)));
  const known = i.shape.length === 4 && i.shape[1] === 1 && i.shape[2] === side && side >= 28 && side <= 64;
  const float = i.dtype === "float32";
  return known && (float || i.dtype === "uint8") ? { name: i.name, side, float } : null;
}

/** Pictures of 28 x 28 in the middle of larger ones, as bytes. */
export function fit(images: Uint8Array, side: number): HostTensor {
  const n = images.length / 784;
  if (side === 28) return { data: images, shape: [n, 1, 28, 28], dtype: "uint8" };
  const edge = (side - 28) >> 1;
  const data = new Uint8Array(n * side * side);
  for (let i = 0; i < n; ++i) {
    for (let y = 0; y < 28; ++y) data.set(images.subarray(784 * i + 28 * y, 784 * i + 28 * y + 28), (i * side + y + edge) * side + edge);
  }
  return { data, shape: [n, 1, side, side], dtype: "uint8" };
}

/** The same as numbers from 0 to 1, when the model takes those. */
export function feed(images: Uint8Array, input: { side: number; float: boolean }): HostTensor {
  const bytes = fit(images, input.side);
  if (!input.float) return bytes;
  const data = new Float32Array(bytes.data.length);
  for (let i = 0; i < data.length; ++i) data[i] = bytes.data[i] / 255;
  return { data, shape: bytes.shape, dtype: "float32" };
}

export function drawDigit(canvas: HTMLCanvasElement, image: Uint8Array): void {
  const c = canvas.getContext("2d")!;
  const pixels = c.createImageData(28, 28);
  const gray = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < gray.length; ++i) gray[i] = 0xff000000 | (0x010101 * image[i]);
  c.putImageData(pixels, 0, 0);
}

/** Probabilities, whether the model gives those or scores. */
export function probabilities(row: ArrayLike<number>): number[] {
  const v = Array.from(row);
  const sum = v.reduce((a, b) => a + b, 0);
  if (v.every((x) => x >= 0) && Math.abs(sum - 1) < 1e-3) return v;
  const max = Math.max(...v);
  const e = v.map((x) => Math.exp(x - max));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((x) => x / total);
}
