// Draws every .chart[data-chart] with ECharts. Colours are those of tokens.css, read anew when the theme changes.
// The table beside each chart says the same; see charts.py.
const SOURCE = "/static/vendor/echarts/echarts.common.min.js"; // a megabyte: fetched only where there is a chart
const SERIES_COLOURS = 6;
const DASHES = ["solid", "dashed", "dotted"]; // series differ in more than colour
const SYMBOLS = ["circle", "rect", "triangle", "diamond"];
const MARK_DASHES = { warn: "dashed", late: "dotted", observe: "dotted" };
const still = matchMedia("(prefers-reduced-motion: reduce)");
const drawn = new Map(); // element → chart

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const figure = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat("en-US");
const say = (value) => (Number.isInteger(value) ? whole.format(value) : figure.format(value));
const short = (value) =>
  Math.abs(value) >= 1e6 ? `${figure.format(value / 1e6)} M` : Math.abs(value) >= 1e4 ? `${figure.format(value / 1e3)} k` : say(value);

let loading = null;
function echarts() {
  if (window.echarts) return Promise.resolve(window.echarts);
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SOURCE;
    script.onload = () => resolve(window.echarts);
    script.onerror = reject;
    document.head.append(script);
  });
  return loading;
}

function colourOf(series, at) {
  if (series.mark === "observe") return token("ink-quiet");
  return token(series.mark || `series-${(at % SERIES_COLOURS) + 1}`);
}

function seriesOption(data, series, at, numeric) {
  const colour = colourOf(series, at);
  const type = data.kind === "bar" ? "bar" : data.kind === "scatter" ? "scatter" : "line";
  const dash = series.mark ? MARK_DASHES[series.mark] || "solid" : DASHES[Math.floor(at / 2) % DASHES.length];
  // A point between gaps would not be seen: it has no line to either side.
  const missing = (at) => (series.values[at] ?? null) === null;
  const alone = (value, at) => value !== null && missing(at - 1) && missing(at + 1);
  const point = (value, at) => (numeric ? [data.x[at], value] : value);
  const marked = (value, at) => (type === "line" && alone(value, at) ? { value: point(value, at), symbol: "circle" } : point(value, at));
  return {
    name: series.name,
    type,
    data: series.values.map(marked),
    stack: data.stacked ? "all" : undefined,
    step: data.kind === "step" ? "end" : undefined,
    symbol: type === "scatter" ? SYMBOLS[at % SYMBOLS.length] : "none",
    showAllSymbol: true,
    symbolSize: 7,
    barMaxWidth: 28,
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 2, type: dash },
    areaStyle: data.stacked && type === "line" ? { color: colour, opacity: 0.5 } : undefined,
    emphasis: { disabled: type !== "scatter" },
  };
}

function option(data, place) {
  const font = { color: token("ink-quiet"), fontFamily: getComputedStyle(place).fontFamily, fontSize: 12 };
  const numeric = data.x.every((x) => typeof x === "number");
  const many = data.series.length > 1;
  const unit = data.unit ? ` ${data.unit}` : "";
  const values = data.series.flatMap((series) => series.values);
  const nearlyAll = data.unit === "%" && values.some((value) => value > 75) && values.every((value) => value <= 100);
  const counts = !data.unit && values.every((value) => Number.isInteger(value ?? 0));
  return {
    animation: !still.matches,
    animationDuration: 300,
    grid: { left: 8, right: 16, top: many ? 36 : 16, bottom: 4, containLabel: true },
    legend: many ? { top: 0, left: 0, itemWidth: 22, itemHeight: 10, textStyle: { ...font, color: token("ink") }, type: "scroll" } : undefined,
    xAxis: {
      type: numeric ? "value" : "category",
      scale: numeric,
      boundaryGap: data.kind === "bar" && !numeric,
      data: numeric ? undefined : data.x,
      axisLabel: { ...font, hideOverlap: true },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: token("line") } },
      splitLine: { show: false },
    },
    yAxis: {
      type: "value",
      splitNumber: 4,
      minInterval: counts ? 1 : 0, // there is no third of a call
      ...(nearlyAll ? { max: 100, interval: 25 } : {}),
      axisLabel: { ...font, formatter: short },
      splitLine: { lineStyle: { color: token("line-quiet") } },
    },
    tooltip: {
      trigger: data.kind === "scatter" ? "item" : "axis",
      renderMode: "richText", // the policy forbids inline styles in markup
      confine: true,
      backgroundColor: token("surface"),
      borderColor: token("line"),
      textStyle: { ...font, color: token("ink") },
      axisPointer: { type: data.kind === "bar" ? "shadow" : "line", shadowStyle: { color: token("ink"), opacity: 0.06 }, lineStyle: { color: token("edge") } },
      valueFormatter: (value) => {
        const shown = Array.isArray(value) ? value.at(-1) : value;
        return shown === null || shown === undefined ? "–" : say(shown) + unit;
      },
    },
    series: data.series.map((series, at) => seriesOption(data, series, at, numeric)),
  };
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) drawn.get(target)?.resize();
});

async function draw() {
  for (const [place, chart] of drawn) {
    if (place.isConnected) continue;
    resized.unobserve(place);
    chart.dispose();
    drawn.delete(place);
  }
  const places = document.querySelectorAll(".chart[data-chart]");
  if (!places.length) return;
  const library = await echarts();
  for (const place of places) {
    let chart = drawn.get(place);
    if (!chart) {
      chart = library.init(place, null, { renderer: "canvas" });
      drawn.set(place, chart);
      resized.observe(place);
    }
    chart.setOption(option(JSON.parse(place.dataset.chart), place), { notMerge: true });
  }
}

draw();
for (const name of ["htmx:afterSwap", "htmx:historyRestore"]) document.addEventListener(name, draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
still.addEventListener("change", draw);
new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
