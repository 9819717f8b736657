// What the frame adds where scripts run: keys, menus that close, the browser's time zone, word of failed requests.
const byId = (id) => document.getElementById(id);
const root = document.documentElement;

// --- forms sent by HTMX carry the session's token ---
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get") detail.headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf"]').content;
  // fields of a filter that are not filled in would only lengthen the address
  if (detail.verb === "get") for (const [name, value] of [...detail.formData]) if (value === "") detail.formData.delete(name);
});

// --- the browser's time zone, where the account names none ---
function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || root.dataset.zoneOrigin === "account" || root.dataset.zone === zone) return;
  const known = () => document.cookie.split("; ").includes(`zone=${zone}`);
  if (known()) return; // told already, and the server does not know it
  document.cookie = `zone=${zone}; Path=/; SameSite=Lax; Max-Age=31536000`;
  if (known()) location.reload();
}

// --- a failed request of a part of the page is said, not swallowed ---
function trouble(shown) {
  const notice = byId("trouble");
  if (notice) notice.hidden = !shown;
}
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () => trouble(true));
}
document.addEventListener("htmx:afterSwap", () => trouble(false));

// --- menus close when one looks elsewhere ---
document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
});
function closeMenus() {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}

// --- keys: / searches, g and a letter goes to a page, ? shows them all ---
const TOGETHER = 1500; // ms between g and the letter
let wentAt = -Infinity;

function typing({ target }) {
  return target.closest("input, select, textarea, [contenteditable]") !== null;
}

function showKeys() {
  const keys = byId("keys");
  if (keys && !keys.open) keys.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    closeMenus();
    if (event.target.id === "search") event.target.blur();
  }
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.timeStamp - wentAt < TOGETHER) {
    wentAt = -Infinity;
    const link = document.querySelector(`.nav-wide a[data-key="${CSS.escape(event.key)}"]`);
    if (link) link.click();
  } else if (event.key === "/" && byId("search")) {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "g") {
    wentAt = event.timeStamp;
  } else if (event.key === "?") {
    showKeys();
  }
});

const button = byId("show-keys");
if (button) {
  button.hidden = false;
  button.addEventListener("click", showKeys);
}

// --- copying what is shown once, asking before what cannot be undone ---
for (const copy of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue; // only where the page came over HTTPS or from this machine
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId(copy.dataset.copy).textContent.trim());
    copy.textContent = copy.dataset.done;
  });
}
document.addEventListener("click", (event) => {
  const asked = event.target.closest("button[data-ask]");
  if (asked && !confirm(asked.dataset.ask)) event.preventDefault();
});

tellZone();
