// Keeps the station's page on the device, whole or not at all, so that it opens with no network. A new version is used
// once the page was closed, not in the middle of work. What the station has registered is kept by the page (`store.js`).

const PREFIX = "hutong-station-";
const VERSION = new URL(location.href).searchParams.get("v");
const CACHE = PREFIX + VERSION;

// While the centre is being updated, one of its processes may give the list and another, of the version before, a file.
async function keep() {
  const { version, paths, tags } = await (await fetch("/station/files", { cache: "no-store" })).json();
  const answers = await Promise.all(paths.map((path) => fetch(path, { cache: "no-cache" })));
  const tagOf = (answer) => answer.headers.get("etag")?.replace(/^W\//u, "");
  const isWhole = version === VERSION && answers.every((it) => it.ok && tags.includes(tagOf(it)));
  if (!isWhole) throw new Error("files of two versions");
  const cache = await caches.open(CACHE);
  await Promise.all(answers.map((it, at) => cache.put(paths[at], it)));
}

async function tidy() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const { origin, pathname } = new URL(request.url);
  const found = (await cache.match(request, { ignoreVary: true })) ?? (origin === location.origin && (await cache.match(pathname, { ignoreVary: true })));
  return found || fetch(request);
}

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(tidy()));
addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});
