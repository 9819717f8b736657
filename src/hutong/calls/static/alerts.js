// The page of alerts: told by the live stream that something changed, it asks for itself again, with its own filters.

const LEAST_WAIT = 1000; // ms between two looks; a slow server is asked less often
const POLL = 10000; // where no stream is to be had: too many pages are open, or a proxy refuses it

const byId = (id) => document.getElementById(id);
const news = byId("alerts-news");
let shown = Number(news.dataset.newest);
let newest = shown;
let asking = false;
let notBefore = 0;
let timer = 0;

const rows = (root) => root.querySelector("#alerts tbody");

// New rows come first only where the newest stand first, on the first page.
function newestFirst() {
  const asked = new URLSearchParams(location.search);
  return ["", "1"].includes(asked.get("page") ?? "") && ["", "-time"].includes(asked.get("sort") ?? "");
}

// A row must not move away under a pointer that is about to click, or under the focus.
function isHeld() {
  const body = rows(document);
  return body !== null && (body.matches(":hover") || body.contains(document.activeElement));
}

function look() {
  clearTimeout(timer);
  if (asking || newest === shown) return;
  if (newestFirst() && isHeld()) {
    news.textContent = news.dataset.held;
    return;
  }
  timer = setTimeout(ask, Math.max(notBefore - performance.now(), 0));
}

async function ask() {
  asking = true;
  const began = performance.now();
  const wanted = location.href;
  try {
    const answer = await fetch(wanted, { redirect: "manual", headers: { Accept: "text/html" } });
    if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) return location.reload();
    if (answer.ok && wanted === location.href) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // the stream tells of the next change
  } finally {
    asking = false;
    notBefore = performance.now() + Math.max(LEAST_WAIT, 4 * (performance.now() - began));
  }
  look();
}

function put(page) {
  const fresh = page.getElementById("alerts");
  if (!fresh) return;
  shown = Number(page.getElementById("alerts-news").dataset.newest);
  newest = Math.max(newest, shown);
  byId("alerts-head").replaceChildren(...page.getElementById("alerts-head").childNodes);
  if (!newestFirst()) {
    news.textContent = news.dataset.elsewhere;
    return;
  }
  const known = new Set([...document.querySelectorAll("[data-alert]")].map((row) => Number(row.dataset.alert)));
  const highest = Math.max(0, ...known);
  const added = [...fresh.querySelectorAll("[data-alert]")].filter((row) => Number(row.dataset.alert) > highest);
  for (const row of added) row.classList.add("fresh");
  // What stands in the filters may be half written: only what was found is replaced.
  const [now, next] = [byId("alerts"), fresh];
  for (const old of [...now.children]) if (!old.matches("form")) old.remove();
  for (const part of [...next.children]) {
    if (part.matches("form")) continue;
    now.append(part);
    window.htmx?.process(part);
  }
  news.textContent = added.length === 0 ? "" : added.length === 1 ? news.dataset.one : news.dataset.more.replace("{count}", added.length);
}

for (const name of ["pointerout", "focusout"]) byId("content").addEventListener(name, () => setTimeout(look, 0));

function connect() {
  const stream = new EventSource(news.dataset.stream);
  stream.addEventListener("live", ({ data }) => {
    newest = Math.max(newest, JSON.parse(data).newest);
    look();
  });
  // The reader may not watch any more: the page knows what comes now.
  stream.addEventListener("over", () => {
    stream.close();
    location.reload();
  });
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return;
    shown = -1; // whatever there is now is news
    look();
    setTimeout(connect, POLL);
  });
}

connect();
