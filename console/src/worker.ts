// Keeps the shell of the console, so that it opens while the daemon is away. What the daemon answers is never stored.
const worker = self as unknown as ServiceWorkerGlobalScope;
const SHELL = "/";
// The daemon writes its digest of all files into these paths: another version is another cache.
const FILES = [
  "/assets/app.js",
  "/assets/app.css",
  "/assets/curves.js",
  "/assets/en.js",
  "/assets/zh.js",
  "/assets/icon.svg",
];
const CACHE = FILES[0]!;

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([SHELL, ...FILES])));
  void worker.skipWaiting();
});

worker.addEventListener("activate", (event) => {
  const old = (names: string[]) => names.filter((name) => name !== CACHE).map((name) => caches.delete(name));
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names))));
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname, origin } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(async () => (await caches.match(SHELL)) ?? Response.error()));
  } else if (pathname.startsWith("/assets/")) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  }
});
