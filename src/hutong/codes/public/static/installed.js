// Has the browser keep a page and all that it needs; gives true once it opens with no network.

const VERSION = document.querySelector('meta[name="version"]').content;

export async function install(name) {
  if (!("serviceWorker" in navigator)) return false;
  try {
    await navigator.serviceWorker.register(`/codes/worker.js?v=${VERSION}`, { scope: "/codes/" });
    const { active } = await navigator.serviceWorker.ready;
    const { port1, port2 } = new MessageChannel();
    const done = new Promise((kept) => port1.addEventListener("message", () => kept(true), { once: true }));
    port1.start();
    active.postMessage({ keep: name }, [port2]);
    return await done;
  } catch (error) {
    console.warn("not installed", error);
    return false;
  }
}
