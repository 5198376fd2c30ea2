// node run.mjs [sgemm|lenet|convnet]
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import "@tensorflow/tfjs-backend-cpu";
import * as wasm from "@tensorflow/tfjs-backend-wasm";
import * as ort from "onnxruntime-web";
import { bench } from "./bench.mjs";

const require = createRequire(import.meta.url);
wasm.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"));
wasm.setThreadsCount(1);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
console.log(`Node ${process.version}`);
const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
await bench({ tf, layers, ort, say: console.log, only: process.argv[2] ?? "", processorTime });
process.exit();
