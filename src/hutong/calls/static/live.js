// The live wall: takes one event a second and puts it in place. Words and figures come rendered from the server, alike
// for all who read in one language; only times are written here, in the reader's zone.

const LOST_AFTER = 4000; // milliseconds; the server sends an event a second
const RETRY_AFTER = 5000;

const byId = (id) => document.getElementById(id);
const live = byId("live");

// Changes `old` into `fresh` while keeping equal nodes, so that focus, selection and scroll positions survive.
function patch(old, fresh) {
  const olds = [...old.childNodes];
  const news = [...fresh.childNodes];
  news.forEach((next, i) => {
    const now = olds[i];
    if (!now) old.append(next);
    else if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) now.replaceWith(next);
    else if (next.nodeType === Node.TEXT_NODE) {
      if (now.data !== next.data) now.data = next.data;
    } else {
      patchAttributes(now, next);
      patch(now, next);
    }
  });
  olds.slice(news.length).forEach((node) => node.remove());
}

function patchAttributes(now, next) {
  for (const { name, value } of next.attributes ?? []) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...(now.attributes ?? [])]) {
    if (!next.hasAttribute(name)) now.removeAttribute(name);
  }
}

function show(regions) {
  const holding = hold.getAttribute("aria-pressed") === "true";
  for (const [id, markup] of Object.entries(regions)) {
    if (id === "latest" && holding) continue;
    const template = document.createElement("template");
    template.innerHTML = markup; // escaped by the server's templates
    for (const time of template.content.querySelectorAll("time")) time.textContent = clock(Date.parse(time.dateTime));
    patch(byId(id), template.content);
  }
}

const zone = document.documentElement.dataset.zone || undefined;
const hours = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const clock = (ms) => hours.format(ms);

// --- the chart ---
const place = byId("chart");
const chart = window.echarts?.init(place, null, { renderer: "canvas" });
let columns = null;

// Blocked lies on the axis, where it is easiest to read; lines differ in dash and width as well as in colour.
const SERIES = [
  { key: "block", width: 2, dash: "solid", opacity: 0.9 },
  { key: "warn", width: 1.5, dash: "dashed", opacity: 0.75 },
  { key: "pass", width: 1, dash: "solid", opacity: 0.45 },
];

function drawChart() {
  if (!chart || !columns?.time.length) return;
  byId("chart-note").textContent = "";
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(`--${name}`).trim();
  const rem = parseFloat(style.fontSize);
  const font = { color: token("ink-quiet"), fontFamily: getComputedStyle(place).fontFamily, fontSize: 0.75 * rem };
  const gap = Math.max(300 - columns.time.length, 0); // so that time runs at one speed from the first second
  chart.setOption({
    animation: false,
    grid: { left: 2.75 * rem, right: 8, top: 12, bottom: 1.5 * rem },
    xAxis: {
      type: "category",
      boundaryGap: false,
      data: [...Array(gap).fill(""), ...columns.time],
      axisLabel: { ...font, interval: (i) => (299 - i) % 60 === 0 && i > 20, showMinLabel: false, showMaxLabel: true, alignMaxLabel: "right" },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: token("line") } },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: 4,
      axisLabel: font,
      splitLine: { lineStyle: { color: token("line-quiet") } },
    },
    tooltip: {
      trigger: "axis",
      renderMode: "richText", // the policy forbids inline styles in markup
      backgroundColor: token("surface"),
      borderColor: token("line"),
      textStyle: { ...font, color: token("ink") },
      order: "seriesDesc",
    },
    series: SERIES.map(({ key, width, dash, opacity }) => ({
      id: key,
      name: place.dataset[key],
      type: "line",
      stack: "calls",
      symbol: "none",
      data: [...Array(gap).fill(null), ...columns[key]],
      itemStyle: { color: token(key) },
      lineStyle: { color: token(key), width, type: dash },
      areaStyle: { color: token(key), opacity },
      emphasis: { disabled: true },
    })),
  });
}

if (chart) {
  new ResizeObserver(() => chart.resize()).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawChart);
}

// --- holding the list still ---
const hold = byId("hold");
const holdText = hold.textContent;
hold.hidden = false;
hold.addEventListener("click", () => {
  const held = hold.getAttribute("aria-pressed") !== "true";
  hold.setAttribute("aria-pressed", String(held));
  hold.textContent = held ? hold.dataset.held : holdText;
});

// --- the map: what a disc stands for, and which disc a row of the table is ---
const map = byId("map");
const tip = byId("map-tip");
let pointed = null;
let marked = "";

function showTip() {
  const disc = pointed && map.querySelector(`[data-area="${pointed}"]`);
  tip.hidden = !disc;
  if (!disc) return;
  tip.textContent = disc.dataset.tip;
  const card = tip.offsetParent.getBoundingClientRect();
  const box = disc.getBoundingClientRect();
  const left = box.left + box.width / 2 - card.left - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(8, Math.min(left, card.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${box.top - card.top - tip.offsetHeight - 6}px`;
}

function mark() {
  for (const disc of map.querySelectorAll("[data-area]")) disc.classList.toggle("marked", disc.dataset.area === marked);
}

const areaOf = (target) => target.closest?.("[data-area]")?.dataset.area ?? "";
map.addEventListener("pointerover", ({ target }) => {
  pointed = areaOf(target);
  showTip();
});
map.addEventListener("pointerleave", () => {
  pointed = null;
  showTip();
});
for (const name of ["pointerover", "focusin"]) {
  byId("cities").addEventListener(name, ({ target }) => {
    marked = areaOf(target);
    mark();
  });
}
for (const name of ["pointerleave", "focusout"]) {
  byId("cities").addEventListener(name, () => {
    marked = "";
    mark();
  });
}

document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") byId("leave-wall")?.click();
});

// --- the stream ---
let lastEvent = Date.now();

function connect() {
  const stream = new EventSource(live.dataset.stream);
  stream.addEventListener("live", ({ data }) => {
    lastEvent = Date.now();
    const event = JSON.parse(data);
    show(event.regions);
    columns = { ...event.chart, time: event.chart.time.map((seconds) => clock(seconds * 1000)) };
    drawChart();
    mark();
    showTip();
    showState(event.state);
    refused.hidden = true;
    showLink();
  });
  // The reader may not watch any more, or as somebody else: the page knows what comes now.
  stream.addEventListener("over", () => {
    stream.close();
    location.reload();
  });
  stream.addEventListener("error", () => {
    // A refused stream (too many watchers, a proxy's error page) is closed for good: say why, begin a new one.
    if (stream.readyState !== EventSource.CLOSED) return;
    askWhy();
    setTimeout(connect, RETRY_AFTER);
  });
}

// Whoever may no longer watch is led to sign in by loading the page; an absent server must not take the page away.
const refused = byId("refused");
async function askWhy() {
  const answer = await fetch(location.href, { redirect: "manual" }).catch(() => null);
  if (!answer) return;
  if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("refused");
  refused.textContent = fresh?.textContent ?? "";
  refused.hidden = !refused.textContent;
  showLink();
}

// The tab's title says it too: whoever looks at another page must see it.
const title = document.title;
function showState(state) {
  const alarm = ["stale", "absent", "failing_open"].includes(state);
  document.title = alarm ? `⚠ ${live.dataset.alarm} · ${title}` : title;
}

function showLink() {
  const silent = Date.now() - lastEvent;
  const lost = silent > LOST_AFTER;
  const link = byId("link");
  document.documentElement.classList.toggle("lost", lost);
  if (lost) link.querySelector("strong").textContent = link.dataset.text.replace("{seconds}", Math.round(silent / 1000));
  link.hidden = !lost || !refused.hidden;
}

setInterval(showLink, 1000);
connect();
