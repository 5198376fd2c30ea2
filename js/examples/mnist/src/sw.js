// Keeps what the pages load, so that they work without a network, and lets them share memory between threads on servers
// that can't send the headers for it.
const CACHE = "mge-digits-1";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (e) => e.waitUntil(Promise.all([self.clients.claim(), self.registration.navigationPreload?.enable()])));

function isolated(reply) {
  if (reply.status === 0) return reply;
  const headers = new Headers(reply.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  return new Response(reply.body, { status: reply.status, statusText: reply.statusText, headers });
}

// Vite names what is in assets/ by its contents: what was kept is what a server would send.
const named = (request) => new URL(request.url).pathname.includes("/assets/");

async function answer(e) {
  const { request } = e;
  try {
    const same = named(request) && (await caches.match(request));
    if (same) return isolated(same);
    const reply = (await e.preloadResponse) ?? (await fetch(request));
    if (reply.ok) {
      const copy = reply.clone();
      e.waitUntil(caches.open(CACHE).then((cache) => cache.put(request, copy)));
    }
    return isolated(reply);
  } catch (e) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return isolated(kept);
    throw e;
  }
}

self.addEventListener("fetch", (e) => {
  if (e.request.method === "GET" && new URL(e.request.url).origin === self.location.origin) e.respondWith(answer(e));
});

// What was loaded before this worker was there.
self.addEventListener("message", (e) => {
  e.waitUntil(caches.open(CACHE).then((cache) => Promise.allSettled(e.data.map((url) => cache.add(url)))));
});
