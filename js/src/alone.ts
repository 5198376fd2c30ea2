// Starts mge.simd.wasm, the module without threads. (The one with threads needs Emscripten's script.)
import type { Module } from "./native.js";
import { numberOf, numberText } from "./numbers.js";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const FUNCTIONS = ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "exp", "log", "pow", "atan2"] as const;

export async function startAlone(compiled: WebAssembly.Module): Promise<Module> {
  let memory: WebAssembly.Memory;
  const env: WebAssembly.ModuleImports = {
    emscripten_notify_memory_growth: () => {},
    emscripten_math_fmod: (x: number, y: number) => x % y,
    mge_number(at: number) {
      const u8 = new Uint8Array(memory.buffer, at >>> 0);
      return numberOf(decoder.decode(u8.slice(0, u8.indexOf(0))));
    },
    mge_number_text(v: number, digits: number, to: number, room: number) {
      encoder.encodeInto(numberText(v, digits).slice(0, room - 1) + "\0", new Uint8Array(memory.buffer, to >>> 0, room));
    },
  };
  for (const name of FUNCTIONS) env[`emscripten_math_${name}`] = Math[name];
  const clock_time_get = (which: number, _precision: bigint, to: number) => {
    const ms = which ? performance.now() : Date.now();
    new DataView(memory.buffer).setBigUint64(to >>> 0, BigInt(Math.round(1e6 * ms)), true);
    return 0;
  };
  const { exports } = await WebAssembly.instantiate(compiled, { env, wasi_snapshot_preview1: { clock_time_get } });
  memory = exports.memory as WebAssembly.Memory;
  (exports._initialize as () => void)();
  const module: Record<string, unknown> = { wasmMemory: memory };
  for (const [name, value] of Object.entries(exports)) module[`_${name}`] = value;
  return module as unknown as Module;
}
