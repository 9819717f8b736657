// Has the browser keep a page and all that it needs; gives true once it opens with no network.

const VERSION = document.querySelector('meta[name="version"]').content;

export async function install(name) {
  if (!("serviceWorker" in navigator)) return false;
  try {
    const registration = await navigator.serviceWorker.register(`/codes/worker.js?v=${VERSION}`, { scope: "/codes/" });
    await navigator.serviceWorker.ready;
    // The new version, not the one that it is about to replace.
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    const { port1, port2 } = new MessageChannel();
    const done = new Promise((kept) => port1.addEventListener("message", () => kept(true), { once: true }));
    port1.start();
    worker.postMessage({ keep: name }, [port2]);
    return await done;
  } catch (error) {
    console.warn("not installed", error);
    return false;
  }
}
