// The metric explorer: every metric the console holds, one drawn as a chart. Called by page.js.

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { el, note, oneTabStop, quantity, serviceColour, walkRows } from "./dom.js";
import { span } from "./overview.js";
import { change, state } from "./state.js";

const MOST_LINES = 12;
const ALL = { histogram: ["p95", "p50", "p90", "p99", "avg", "rate", "increase"], counter: ["rate", "increase", "last"], gauge: ["last"] };

let parts;
let known = [];
let keysOf = { name: "", keys: [] };

const functions = (metric) => {
  if (metric.kind.endsWith("histogram")) return ALL.histogram;
  return metric.kind === "sum" && metric.monotonic ? ALL.counter : ALL.gauge;
};

/** Builds the section. */
export function mount(host) {
  const search = el("input", { type: "search", placeholder: "find a metric", "aria-label": "Find a metric", autocomplete: "off", spellcheck: "false" });
  const list = el("div", { class: "rows metrics", data: { testid: "metrics" } });
  const fn = el("select", { "aria-label": "Function" });
  const by = el("select", { "aria-label": "Split by attribute" });
  const chart = new Chart({ id: "explorer", title: "Choose a metric" });
  const about = el("p", { class: "quiet about" });
  parts = { host, search, list, fn, by, chart, about };
  chart.node.classList.remove("card");
  host.replaceChildren(
    el("header", { class: "card-head" }, el("h2", { id: "explorer-title" }, "Metric explorer"), el("div", { class: "filters" }, search,
      el("label", {}, "show ", fn), el("label", {}, "split by ", by))),
    el("div", { class: "explore" }, list, el("div", {}, chart.node, about)));
  search.addEventListener("input", drawList);
  fn.addEventListener("change", () => change({ fn: fn.value }, true));
  by.addEventListener("change", () => change({ by: by.value }, true));
  walkRows(list);
}

/** The list of metrics changed, or may have. */
export function learn(metrics) {
  const before = known.map((m) => m.name).join();
  known = [...metrics].sort((a, b) => a.name.localeCompare(b.name));
  if (before !== known.map((m) => m.name).join() || !parts.list.childElementCount) drawList();
}

/** Chooses a metric and brings the section into view. */
export function choose(name) {
  change({ metric: name, fn: "", by: "" });
  parts.host.scrollIntoView({ block: "start", behavior: "smooth" });
}

export function drawList() {
  const wanted = parts.search.value.trim().toLowerCase();
  const shown = known.filter((m) => m.name.toLowerCase().includes(wanted)).slice(0, 200);
  parts.list.replaceChildren(...shown.map((m) => el("button", {
    type: "button", class: "row metric", "aria-pressed": String(m.name === state.metric), title: m.description, data: { testid: "metric-row" },
    on: { click: () => change({ metric: m.name, fn: "", by: "" }) },
  }, el("span", { class: "mono" }, m.name), el("span", { class: "quiet" }, `${m.kind.replace("_", " ")} · ${m.series}`))));
  if (!shown.length) parts.list.append(note(known.length ? "No metric has that in its name." : "No metrics yet. Point an OTLP exporter at 127.0.0.1:4317."));
  oneTabStop(parts.list);
}

const fillSelect = (select, values, chosen) => {
  const wanted = values.join("\n");
  if (select.dataset.values !== wanted) {
    select.replaceChildren(...values.map((v) => el("option", { value: v }, v)));
    select.dataset.values = wanted;
  }
  select.value = chosen;
};

/** Asks for the chosen metric and draws it; without one, says what to do. */
export async function refresh(minutes) {
  const frame = { ...span(minutes), series: [], format: String };
  const metric = known.find((m) => m.name === state.metric);
  parts.fn.disabled = parts.by.disabled = !metric;
  if (!metric) {
    const text = state.metric ? `No metric ${state.metric} is held.` : "Choose a metric on the left to see it over time.";
    parts.chart.draw({ ...frame, message: el("p", {}, text) });
    parts.about.textContent = "";
    return;
  }
  if (metric.kind === "summary") {
    parts.chart.draw({ ...frame, message: el("p", {}, "A summary carries quantiles computed by its sender; the query API can list but not chart it.") });
    return;
  }
  if (keysOf.name !== metric.name) {
    const held = await api.series(metric.name);
    keysOf = { name: metric.name, keys: [...new Set(held.flatMap((s) => Object.keys(s.attributes)))].sort() };
  }
  const choices = functions(metric);
  const fn = choices.includes(state.fn) ? state.fn : choices[0];
  const keys = ["service.name", ...keysOf.keys, "nothing"];
  const by = keys.includes(state.by) ? state.by : "service.name";
  fillSelect(parts.fn, choices, fn);
  fillSelect(parts.by, keys, by);
  const { from, to, step } = frame;
  const answer = await api.range({ name: metric.name, fn, by: by === "nothing" ? "" : by, from_unix_ms: from, to_unix_ms: to, step_ms: step });
  const peak = (s) => s.points.reduce((a, p) => Math.max(a, p[1] ?? -Infinity), -Infinity);
  const all = answer.series.sort((a, b) => peak(b) - peak(a));
  const series = all.slice(0, MOST_LINES).map((s, i) => ({ name: Object.values(s.labels).map((v) => v || "(not set)").join(" ") || "all", points: s.points,
    colour: by === "service.name" ? serviceColour(s.labels[by] ?? "unknown") : `var(--c${(i % 8) + 1})`, stairs: fn === "last" }));
  const format = fn === "rate" || fn === "increase"
    ? (v) => (metric.kind.endsWith("histogram") ? `${quantity(v, "")}${fn === "rate" ? "/s" : ""}` : quantity(v, metric.unit, fn === "rate"))
    : (v) => quantity(v, metric.unit);
  const more = all.length > MOST_LINES ? `; the ${MOST_LINES} highest of ${all.length} lines` : "";
  const message = series.length ? undefined : el("p", {}, "No points of this metric in the window.");
  parts.chart.node.querySelector("h2").textContent = metric.name;
  parts.chart.draw({ ...frame, series, format, message, binary: metric.unit === "By", sub: `${fn}${by === "nothing" ? "" : ` by ${by}`}${more}` });
  parts.about.textContent = `${(metric.description || "No description").replace(/\.?$/, ".")} Unit ${metric.unit || "none"}, ${metric.kind.replace("_", " ")}, ${metric.temporality} temporality, from ${metric.services.join(", ")}.`;
}
