// The script of the Worker behind load(). The first message says how to start.
import { Host, type Message } from "./host.js";
import type { StartOptions } from "./native.js";

export function serve(): void {
  let host: Host | undefined;
  globalThis.onmessage = (e: MessageEvent<StartOptions | Message>) => {
    if (host) void host.receive(e.data as Message);
    else host = new Host(e.data as StartOptions, (r) => globalThis.postMessage(r), "worker");
  };
}

if (typeof document === "undefined" && (globalThis as { name?: string }).name === "mge.js") serve();
