// For script tags: the script is its own Worker (global.ts).
const script = typeof document === "object" ? (document.currentScript as HTMLScriptElement | null)?.src : undefined;

export const alone = "the build for script tags has one thread";

export function openWorker(url?: string | URL): Worker {
  if (!url && !script) throw new Error("mge.js doesn't know its own address; give workerUrl");
  return new Worker((url ?? script)!, { name: "mge.js" });
}
