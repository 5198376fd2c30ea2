// Puts functions of a WebAssembly module that look alike next to each other: gzip sees 32 kB, and so the module gets a
// sixteenth smaller. order.mjs WASM-OPT FILE.wasm
import { execFileSync } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const WINDOW = 30_000; // bytes that are looked back on
const GRAM = 6; // bytes that are compared
const MANY = 64; // what more functions have says nothing about two of them

const [wasmOpt, file] = process.argv.slice(2);
const bytes = readFileSync(file);

let at = 8;
function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const b = bytes[at++];
    value += (b & 127) * 2 ** shift;
    if (b < 128) return value;
  }
}
function skipLimits() {
  const flags = bytes[at++];
  number();
  if (flags & 1) number();
}
const skipImport = [
  number,
  () => (++at, skipLimits()),
  skipLimits,
  () => (at += 2),
  () => (++at, number()),
];

/** The number of imported functions, and the bodies of the others. */
function functions() {
  let imported = 0;
  const bodies = [];
  while (at < bytes.length) {
    const section = bytes[at++];
    const size = number();
    const end = at + size;
    if (section === 2) {
      for (let n = number(); n > 0; --n) {
        for (let k = 0; k < 2; ++k) {
          const length = number();
          at += length;
        }
        const kind = bytes[at++];
        if (kind === 0) ++imported;
        skipImport[kind]();
      }
    } else if (section === 10) {
      for (let n = number(); n > 0; --n) {
        const length = number();
        bodies.push(bytes.subarray(at, at + length));
        at += length;
      }
    }
    at = end;
  }
  return { imported, bodies };
}

/** The order in which each function has as much as possible in common with those in the window before it. The `first`
 *  stay: emcc has put what is called most there, where calls are shorter. */
function alike(bodies, first) {
  const grams = bodies.map((b) => {
    const set = new Set();
    for (let i = 0; i + GRAM <= b.length; ++i) set.add(b.readUIntLE(i, GRAM));
    return set;
  });
  const having = new Map();
  grams.forEach((set, f) => {
    for (const g of set) having.has(g) ? having.get(g).push(f) : having.set(g, [f]);
  });
  const left = new Set(bodies.keys());
  const order = [];
  const score = new Float64Array(bodies.length); // grams in common with the window
  const inWindow = new Map();
  const change = (f, by) => {
    for (const g of grams[f]) {
      const sharing = having.get(g);
      if (sharing.length < 2 || sharing.length > MANY) continue;
      const before = inWindow.get(g) ?? 0;
      inWindow.set(g, before + by);
      if (before === 0 || before + by === 0) for (const other of sharing) score[other] += by;
    }
  };
  let held = 0;
  let oldest = 0;
  let next = 0;
  while (left.size > 0) {
    order.push(next);
    left.delete(next);
    if (order.length < first) {
      next = order.length;
      continue;
    }
    change(next, 1);
    held += bodies[next].length;
    while (held > WINDOW && oldest < order.length - 1) {
      held -= bodies[order[oldest]].length;
      change(order[oldest++], -1);
    }
    let best = -1;
    for (const f of left) {
      const s = score[f] / (grams[f].size + 50);
      if (s > best) [best, next] = [s, f];
    }
  }
  return order;
}

/** A section that names function i "f<its place>", for wasm-opt to sort by. */
function nameSection(imported, order) {
  const leb = (v) => {
    const r = [];
    for (; v > 127; v >>>= 7) r.push((v & 127) | 128);
    return [...r, v];
  };
  const text = (s) => [...leb(s.length), ...Buffer.from(s)];
  const names = [];
  order.forEach((f, place) => (names[f] = [...leb(imported + f), ...text(`f${String(place).padStart(6, "0")}`)]));
  const map = [...leb(names.length), ...names.flat()];
  const content = [...text("name"), 1, ...leb(map.length), ...map];
  return Buffer.from([0, ...leb(content.length), ...content]);
}

const { imported, bodies } = functions();
const named = `${file}.named`;
writeFileSync(named, Buffer.concat([bytes, nameSection(imported, alike(bodies, 128 - imported))]));
const features = ["simd", "exception-handling", "bulk-memory", "mutable-globals", "sign-ext", "nontrapping-float-to-int", "multivalue", "reference-types", "threads"];
const optimize = (...passes) => execFileSync(wasmOpt, [...features.map((f) => `--enable-${f}`), ...passes, named, "-o", named]);
optimize("--reorder-functions-by-name", "--strip-debug");
optimize("-Oz"); // once more: it makes other choices where functions have other neighbours
const zipped = (f) => gzipSync(readFileSync(f), { level: 9 }).length;
console.log(`${file}: ${zipped(file)} -> ${zipped(named)} bytes, gzipped`);
renameSync(named, file);
