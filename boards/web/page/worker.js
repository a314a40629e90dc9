// Keeps the page for when there is no network. Where there is one, it answers: scripts, module and models of one visit are
// then of one age.
const CACHE = "ferrolite-2";
const FILES = ["./", "index.html", "app.js", "sound.js", "style.css", "icon.svg", "manifest.webmanifest", "ferrolite.js", "ferrolite.wasm", "digits.ferro"];

addEventListener("install", (event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => clients.claim())));
addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== location.origin) return;
  event.respondWith(answer(event));
});

async function dropOld() {
  const old = (await caches.keys()).filter((name) => name.startsWith("ferrolite-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function answer(event) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(event.request);
    if (response.ok) event.waitUntil(cache.put(event.request, response.clone()));
    return response;
  } catch (error) {
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
