// mge.js: MegEngine models in browsers and Node.
import { Engine } from "./engine.js";
import { readBytes, start, threadsOf, whyNoThreads, type StartOptions } from "./native.js";
import { connect, type RemoteModel, type RemoteOptions } from "./remote.js";

export { Engine, type Info, type OpInfo, type Param } from "./engine.js";
export { Tensor } from "./tensor.js";
export { Model, Trainer } from "./model.js";
export type * from "./model.js";
export type { DType, Feed, HostTensor, TypedArray } from "./data.js";
export { Adam, RMSProp, SGD, type OptimizerSpec, type Parameter } from "./optim.js";
export * as optim from "./optim.js";
export { Sequential, type Layer } from "./nn.js";
export type { RemoteModel, RemoteTrainer, RemoteOptions } from "./remote.js";
export type { StartOptions } from "./native.js";

/** The core in this thread: for Workers, Node, and short work in pages. */
export async function init(options: StartOptions = {}): Promise<Engine> {
  const threads = await threadsOf(options);
  const why = threads > 1 || options.threads === 1 ? "" : whyNoThreads();
  return new Engine(await start(threads, options), { whyNoThreads: why });
}

/** A model from bytes, a File, or where they are: in a Worker where there are Workers, so that the page stays alive. */
export async function load(source: ArrayBuffer | Uint8Array | Blob | string | URL, options: RemoteOptions = {}): Promise<RemoteModel> {
  const host = await connect(options);
  const bytes =
    source instanceof ArrayBuffer || ArrayBuffer.isView(source)
      ? source
      : source instanceof Blob
        ? await source.arrayBuffer()
        : await readBytes(source);
  return host.load(bytes, { memoryLimit: options.memoryLimit });
}

/** What load() runs on: its threads, and whether there is a Worker. */
export async function info(options: RemoteOptions = {}) {
  return (await connect(options)).info();
}
