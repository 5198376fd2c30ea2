// What all pages share: language, badge, offline use, and small helpers.
import { info } from "mge.js";
import { onLanguage, startLanguage, t } from "./i18n.js";

export const $ = <E extends HTMLElement>(selector: string): E => document.querySelector<E>(selector)!;

export function setText(selector: string, text: string, error = false): void {
  const e = $(selector);
  e.textContent = text;
  e.classList.toggle("error", error);
}
export const words = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** Scripts are here before the page is. */
export const parsed = document.readyState === "loading" ? new Promise((done) => addEventListener("DOMContentLoaded", done)) : Promise.resolve();

/** `after`: before the badge and offline use. */
export function startPage(after = Promise.resolve()): void {
  startLanguage();
  const badge = async () => {
    await after;
    const i = await info();
    onLanguage(() => {
      const why = i.whyNoThreads ? ` (${i.whyNoThreads})` : "";
      $("#badge").textContent = `SIMD · ${i.threads} ${t(i.threads > 1 ? "threads" : "thread")}`;
      $("#badge").title = `mge.js ${i.version}${why}`;
    });
  };
  badge().catch(() => {}); // told by what is asked of the engine
  if (import.meta.env.PROD && "serviceWorker" in navigator && window.isSecureContext) {
    const offline = async () => {
      await navigator.serviceWorker.register("./sw.js");
      const { active } = await navigator.serviceWorker.ready;
      const loaded = performance.getEntriesByType("resource").map((e) => e.name);
      active?.postMessage([location.href, ...loaded].filter((url) => url.startsWith(location.origin)));
    };
    if (!navigator.serviceWorker.controller) void after.then(() => setTimeout(() => void offline().catch(() => {}), 1000));
  }
}

/** Calls `fn` when a file is chosen or dropped. */
export function onFile(fn: (f: File) => void): void {
  const input = $<HTMLInputElement>("#open");
  input.onchange = () => {
    if (input.files?.[0]) fn(input.files[0]);
    input.value = "";
  };
  addEventListener("dragover", (e) => {
    e.preventDefault();
    document.querySelector("#drop")?.classList.add("over");
  });
  addEventListener("dragleave", () => document.querySelector("#drop")?.classList.remove("over"));
  addEventListener("drop", (e) => {
    e.preventDefault();
    document.querySelector("#drop")?.classList.remove("over");
    const f = e.dataTransfer?.files[0];
    if (f) fn(f);
  });
}

/** Sets a canvas up for the pixels of this screen; its context is scaled to CSS pixels. */
export function context(canvas: HTMLCanvasElement): { c: CanvasRenderingContext2D; w: number; h: number; color: (name: string) => string } {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  if (canvas.width !== Math.round(w * ratio)) canvas.width = Math.round(w * ratio);
  if (canvas.height !== Math.round(h * ratio)) canvas.height = Math.round(h * ratio);
  const c = canvas.getContext("2d")!;
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, w, h);
  const style = getComputedStyle(document.documentElement);
  return { c, w, h, color: (name) => style.getPropertyValue(`--${name}`) };
}
/** Draws now, and again when the size or the colours change. */
export function redrawn(canvas: HTMLCanvasElement, draw: () => void, after = Promise.resolve()): () => void {
  let queued = false;
  const later = () => {
    if (!queued) void after.then(() => requestAnimationFrame(() => ((queued = false), draw())));
    queued = true;
  };
  void after.then(() => new ResizeObserver(later).observe(canvas));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
  return later;
}
