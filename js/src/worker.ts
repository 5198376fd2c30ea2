// The script of the Worker behind load(). The first message says how to start; the compiled module follows.
import { Host, type Message } from "./host.js";
import type { StartOptions } from "./native.js";

/** The module that the page compiled meanwhile; undefined: the Worker compiles its own. */
export type Compiled = { compiled: WebAssembly.Module | undefined; error?: string };

export function serve(): void {
  let host: Host | undefined;
  let arrived: (c: Compiled) => void;
  globalThis.onmessage = ({ data }: MessageEvent<StartOptions | Compiled | Message>) => {
    if ("compiled" in data) return arrived(data);
    if (host) return void host.receive(data as Message);
    const wasmBinary = new Promise<WebAssembly.Module | undefined>((done, fail) => {
      arrived = (c) => (c.error ? fail(new Error(c.error)) : done(c.compiled));
    });
    wasmBinary.catch(() => {}); // told to whoever calls
    host = new Host({ ...(data as StartOptions), wasmBinary }, (r) => globalThis.postMessage(r), "worker");
  };
}

if (typeof document === "undefined" && (globalThis as { name?: string }).name === "mge.js") serve();
