// The build for script tags: sets globalThis.mge; in a Worker that openWorker() made of it, it serves.
import "./worker.js";

export * from "./index.js";
