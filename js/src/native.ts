// The WebAssembly module: starting it, its memory, and its errors.

import { startAlone } from "./alone.js";
import { alone } from "./open-worker.js";

/** A pointer into the module's memory. */
export type Pointer = number;

/** What the module exports; `mge_` functions are described in native/mge.cpp. */
export interface Module {
  wasmMemory: WebAssembly.Memory;
  _malloc(bytes: number): Pointer;
  _free(at: Pointer): void;
  [name: `_mge_${string}`]: (...args: number[]) => number;
}

export interface StartOptions {
  /** Threads of the build with threads; 1 takes the build without. Default: 1 where memory can't be shared. */
  threads?: number;
  /** Where the .wasm file is, when it is not beside this script. */
  wasmUrl?: string | URL;
  /** Its bytes, or the compiled module, which may be on its way. */
  wasmBinary?: ArrayBuffer | Uint8Array | WebAssembly.Module | Promise<WebAssembly.Module | undefined>;
}

const isNode = typeof process === "object" && typeof process.versions?.node === "string";
// Bundlers must not look for these.
const nodeModule = (name: string) => import(/* webpackIgnore: true */ /* @vite-ignore */ `node:${name}`);

/** Bytes of a URL; Node reads files as well. */
export async function readBytes(url: string | URL): Promise<Uint8Array> {
  const text = String(url);
  if (isNode && !/^(https?|data|blob):/.test(text)) {
    const { readFile } = await nodeModule("fs/promises");
    return readFile(text.startsWith("file:") ? new URL(text) : text);
  }
  const reply = await fetch(text);
  if (!reply.ok) throw new Error(`can't load ${text}: HTTP ${reply.status}`);
  return new Uint8Array(await reply.arrayBuffer());
}

/** Why there is one thread only, or "". */
export function whyNoThreads(): string {
  if (alone) return alone;
  if (!isNode && !globalThis.crossOriginIsolated) return "the page is not cross-origin isolated (headers COOP and COEP)";
  return typeof SharedArrayBuffer === "undefined" ? "there is no SharedArrayBuffer" : "";
}

export async function cores(): Promise<number> {
  if (!isNode) return globalThis.navigator?.hardwareConcurrency ?? 1;
  const os = await nodeModule("os");
  return os.availableParallelism();
}

// i8x16.splat and drop
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** How many threads there will be. */
export async function threadsOf(options: StartOptions, inWorker = typeof window !== "object"): Promise<number> {
  if (whyNoThreads()) return 1;
  return Math.max(1, Math.min(16, options.threads ?? (inWorker ? Math.min(4, await cores()) : 1)));
}

async function compileFrom(from: string | URL): Promise<WebAssembly.Module> {
  if (!isNode) {
    try {
      return await WebAssembly.compileStreaming(fetch(from));
    } catch {
      // A server that sends the wrong media type.
    }
  }
  return WebAssembly.compile((await readBytes(from)) as BufferSource);
}

// What was compiled serves this thread and the Workers.
const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** The module for so many threads. */
export async function compile(threads: number, options: StartOptions): Promise<WebAssembly.Module> {
  const given = await options.wasmBinary;
  if (given instanceof WebAssembly.Module) return given;
  if (given) return WebAssembly.compile(given as BufferSource);
  const from =
    options.wasmUrl ??
    (threads > 1 ? new URL("./mge.simd-threads.wasm", import.meta.url) : new URL("./mge.simd.wasm", import.meta.url));
  const key = String(from);
  let known = compiled.get(key);
  if (!known) {
    known = compileFrom(from);
    compiled.set(key, known);
    known.catch(() => compiled.delete(key));
  }
  return known;
}

async function startThreads(threads: number, options: StartOptions, lines: string[]): Promise<Module> {
  const [factory, compiled] = await Promise.all([import("./mge.simd-threads.js"), compile(threads, options)]);
  return factory.default({
    threads,
    printErr: (line: string) => lines.push(line),
    instantiateWasm(imports: WebAssembly.Imports, done: (i: WebAssembly.Instance, m: WebAssembly.Module) => void) {
      WebAssembly.instantiate(compiled, imports).then((instance) => done(instance, compiled));
      return {};
    },
  });
}

/** Starts the module; throws where WebAssembly SIMD is missing. */
export async function start(threads: number, options: StartOptions): Promise<Native> {
  if (!WebAssembly.validate(simdProbe)) throw new Error("this browser has no WebAssembly SIMD, which mge.js needs");
  const lines: string[] = [];
  const module = await (threads > 1 ? startThreads(threads, options, lines) : compile(1, options).then(startAlone));
  module._mge_start(threads);
  return new Native(module, lines);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Calls with JavaScript's types. What calls return is checked: 0 and -1 become errors. */
export class Native {
  private bytes = new Uint8Array(0);
  private dead = "";

  constructor(
    readonly module: Module,
    private readonly stderr: string[],
  ) {}

  /** A view of the memory; calls may make it stale. */
  get u8(): Uint8Array {
    const buffer = this.module.wasmMemory.buffer;
    if (this.bytes.buffer !== buffer) this.bytes = new Uint8Array(buffer);
    return this.bytes;
  }

  text(at: Pointer): string {
    const u8 = this.u8;
    return decoder.decode(u8.slice(at, u8.indexOf(0, at)));
  }

  error(): Error {
    return new Error(this.text(this.module._mge_error()));
  }

  /** Calls a function and returns what it gives, unchecked. */
  raw(name: string, ...args: number[]): number {
    if (this.dead) throw new Error(this.dead);
    const call = this.module[`_mge_${name}`];
    if (!call) throw new Error(`this build of mge.js is trimmed: it has no '${name}'`);
    try {
      return call(...args);
    } catch (e) {
      // A trap leaves the module's memory in an unknown state. The core throws C++ exceptions, which never get here.
      const said = this.stderr.slice(-1)[0];
      this.dead = `mge.js stopped working: ${e instanceof Error ? e.message : e}${said ? ` (${said})` : ""}`;
      throw new Error(this.dead);
    }
  }

  /** A pointer; throws the core's error when there is none. */
  pointer(name: string, ...args: number[]): Pointer {
    const p = this.raw(name, ...args);
    if (p === 0) throw this.error();
    return p >>> 0;
  }

  /** A count; throws the core's error when it is negative. */
  count(name: string, ...args: number[]): number {
    const n = this.raw(name, ...args);
    if (n < 0) throw this.error();
    return n;
  }

  json<T>(name: string, ...args: number[]): T {
    return JSON.parse(this.text(this.pointer(name, ...args))) as T;
  }

  /** Runs `fn` with copies of the arguments in the module's memory. */
  with<R>(args: (string | ArrayLike<number> | Uint8Array | Float32Array)[], fn: (...at: Pointer[]) => R): R {
    const at: Pointer[] = [];
    try {
      for (const a of args) {
        const bytes =
          typeof a === "string"
            ? encoder.encode(a + "\0")
            : a instanceof Uint8Array
              ? a
              : new Uint8Array((a instanceof Float32Array ? a : Int32Array.from(a)).slice().buffer);
        const p = this.module._malloc(Math.max(1, bytes.length)) >>> 0;
        if (p === 0) throw new Error(`out of memory: ${bytes.length} bytes`);
        at.push(p);
        this.u8.set(bytes, p);
      }
      return fn(...at);
    } finally {
      for (const p of at) this.module._free(p);
    }
  }

  /** Runs `fn` with room for `n` pointers, and returns those that it filled in. */
  results(n: number, fn: (at: Pointer) => number): Pointer[] {
    return this.with([new Int32Array(n)], (at) => {
      const count = fn(at);
      if (count < 0) throw this.error();
      return [...new Uint32Array(this.u8.buffer, at, count)];
    });
  }
}
