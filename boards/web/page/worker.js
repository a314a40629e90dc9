// Keeps the page for when there is no network: what is cached is answered at once, and renewed behind it.
const CACHE = "ferrolite-1";
const FILES = ["./", "index.html", "app.js", "sound.js", "style.css", "icon.svg", "manifest.webmanifest", "ferrolite.js", "ferrolite.wasm", "digits.ferro"];

addEventListener("install", (event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== location.origin) return;
  event.respondWith(answer(event));
});

async function answer(event) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(event.request, { ignoreSearch: true });
  const fresh = fetch(event.request).then(async (response) => {
    if (response.ok) await cache.put(event.request, response.clone());
    return response;
  });
  if (!kept) return fresh;
  event.waitUntil(fresh.catch(() => {}));
  return kept;
}
