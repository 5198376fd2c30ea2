// How the Worker starts; the build for script tags has another file in this one's place (open-worker-global.ts).
/** Why this build has one thread only. */
export const alone = "";

export function openWorker(url?: string | URL): Worker {
  if (url) return new Worker(url, { type: "module", name: "mge.js" });
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "mge.js" });
}
