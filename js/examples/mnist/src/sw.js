// Keeps what the pages load, so that they work without a network, and lets them share memory between threads on servers
// that can't send the headers for it.
const CACHE = "mge-digits-1";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (e) => e.waitUntil(self.clients.claim()));

function isolated(reply) {
  if (reply.status === 0) return reply;
  const headers = new Headers(reply.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  return new Response(reply.body, { status: reply.status, statusText: reply.statusText, headers });
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const reply = await fetch(request);
    if (reply.ok) await cache.put(request, reply.clone());
    return isolated(reply);
  } catch (e) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return isolated(kept);
    throw e;
  }
}

self.addEventListener("fetch", (e) => {
  const { request } = e;
  if (request.method === "GET" && new URL(request.url).origin === self.location.origin) e.respondWith(answer(request));
});

// What was loaded before this worker was there.
self.addEventListener("message", (e) => {
  e.waitUntil(caches.open(CACHE).then((cache) => Promise.allSettled(e.data.map((url) => cache.add(url)))));
});
