// Keeps the pages on the device, so that they open with no network. Only what everybody gets is kept here; a person's
// codes are kept by the page. A new version is taken in whole, or not at all.

const AGAIN_MS = 24 * 3_600_000;
const PAGES = { show: "/codes/", check: "/codes/check", checkin: "/codes/checkin" };
const CACHE = `hutong-codes-${new URL(location.href).searchParams.get("v")}`;

// What a page needs, by its name: {"show": [paths], "check": [paths], …}.
async function keep(name) {
  const cache = await caches.open(CACHE);
  const listed = await (await fetch("/codes/files", { cache: "no-store" })).json();
  await cache.addAll(listed[name].map((path) => new Request(path, { cache: "no-cache" })));
}

// Whether all that a page needs was kept lately: then opening it asks nobody. (`addAll` keeps all or nothing.)
async function isKept(name) {
  const page = await (await caches.open(CACHE)).match(PAGES[name], { ignoreVary: true });
  return Math.abs(Date.now() - Date.parse(page?.headers.get("date") ?? "")) < AGAIN_MS;
}

// A page that an older version kept stays kept.
async function begin() {
  await keep("show");
  for (const name of ["check", "checkin"]) {
    if (await caches.match(PAGES[name], { ignoreVary: true })) await keep(name);
  }
  await skipWaiting();
}

async function told(event) {
  if (!(await isKept(event.data.keep))) await keep(event.data.keep);
  event.ports[0]?.postMessage("kept");
}

async function clean() {
  for (const name of await caches.keys()) {
    if (name.startsWith("hutong-codes-") && name !== CACHE) await caches.delete(name);
  }
  await clients.claim();
}

// What is kept is shown at once: the service may be busy with what matters more.
async function answer(request) {
  const cache = await caches.open(CACHE);
  const found = (wanted) => cache.match(wanted, { ignoreVary: true }); // a page says its language in its address
  return (await found(request)) ?? (await found(new URL(request.url).pathname)) ?? fetch(request);
}

addEventListener("install", (event) => event.waitUntil(begin()));
addEventListener("activate", (event) => event.waitUntil(clean()));
addEventListener("message", (event) => event.waitUntil(told(event)));
addEventListener("fetch", (event) => {
  const isOurs = new URL(event.request.url).origin === location.origin && event.request.method === "GET";
  if (isOurs) event.respondWith(answer(event.request));
});
