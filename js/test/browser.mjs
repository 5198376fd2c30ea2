// Chromium for tests: a static server and pages.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const repository = join(dirname(fileURLToPath(import.meta.url)), "../..");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" };
const CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:";

/** Serves folders by prefix: {"/": "/some/folder"}; `extra` has bytes by path. Everything under /isolated/ (and below the
 *  same paths) may share memory. */
export async function serve(folders, extra = {}, { unsafeEval = false } = {}) {
  const policy = unsafeEval ? CSP.replace("'wasm-unsafe-eval'", "'unsafe-eval' 'unsafe-inline' blob:").replace("worker-src 'self'", "worker-src 'self' blob:") : CSP;
  const server = createServer(async (request, reply) => {
    let path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const isolated = path.startsWith("/isolated/");
    if (isolated) path = path.slice("/isolated".length);
    if (path.endsWith("/")) path += "index.html";
    const headers = { "content-security-policy": policy, "cache-control": "no-store" };
    if (isolated) Object.assign(headers, { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" });
    headers["content-type"] = TYPES[extname(path)] ?? "application/octet-stream";
    try {
      let body = extra[path];
      if (body === undefined) {
        const prefix = Object.keys(folders).filter((p) => path.startsWith(p)).sort((a, b) => b.length - a.length)[0];
        body = await readFile(join(folders[prefix], normalize(path.slice(prefix.length))));
      }
      reply.writeHead(200, headers).end(body);
    } catch {
      reply.writeHead(404, headers).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}

/** A page whose errors are collected. */
export async function open(browser, url, options = {}) {
  const page = await browser.newPage(options);
  page.errors = [];
  page.on("pageerror", (e) => page.errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && !/favicon|404/.test(m.text()) && page.errors.push(m.text()));
  await page.goto(url);
  return page;
}
