// Makes the demo site: its data in examples/mnist/public, then the pages in examples/mnist/dist.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as mge from "mge.js";
import { build } from "vite";
import { convNet, denseNet, untrained } from "../test/nets.mjs";
import { digits } from "./mnist.mjs";

const js = join(dirname(fileURLToPath(import.meta.url)), "..");
const site = join(js, "examples/mnist");
const open = join(site, "public");
mkdirSync(open, { recursive: true });
for (const [name, counts] of [["mnist-10k.bin", [8500, 1500]], ["mnist.bin", [60000, 10000]]]) {
  if (!existsSync(join(open, name))) writeFileSync(join(open, name), gzipSync(digits(...counts)));
}
const engine = await mge.init({ threads: 1 });
writeFileSync(join(open, "convnet.mge"), untrained(engine, convNet));
writeFileSync(join(open, "densenet.mge"), untrained(engine, denseNet));
copyFileSync(join(js, "../tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge"), join(open, "lenet.mge"));
copyFileSync(join(site, "src/sw.js"), join(open, "sw.js"));
await build({ configFile: join(site, "vite.config.mjs"), logLevel: process.argv.includes("--quiet") ? "warn" : "info" });
