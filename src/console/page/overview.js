// The four charts: request rate, latency, errors, simulated users. Called by page.js; the only module of the page that knows metric names.

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { duration, el, serviceColour, trim } from "./dom.js";

const SERVER = ["http.server.request.duration", "http.server.duration", "rpc.server.call.duration", "rpc.server.duration", "signalbox.requests"];
const USERS = "active_simulated_users";
const STATUS = ["http.response.status_code", "http.status_code"];
const PHASE = "load.phase";
const SERVICE = "service.name";

let charts;
let known = [];
let knownAt = 0;
// The API hands out the newest exemplars; those of the spike are kept here while the page is open.
const exemplars = new Map();
const phases = new Map();
let phasesAt = 0;

/** Puts the charts into `host`; `openTrace(traceId, spanId)` and `explore(metric)` are what a click asks for. */
export function mount(host, actions) {
  const openTrace = (dot) => actions.openTrace(dot.traceId, dot.spanId);
  charts = {
    rate: new Chart({ id: "rate", title: "Requests per second" }),
    latency: new Chart({ id: "latency", title: "Latency", scale: "log", openTrace }),
    errors: new Chart({ id: "errors", title: "Errors per second (5xx)" }),
    users: new Chart({ id: "users", title: "Simulated users" }),
    explore: actions.explore,
  };
  host.replaceChildren(...["rate", "latency", "errors", "users"].map((id) => charts[id].node));
}

/** Forgets what is kept here: the console was restarted. */
export function forget() {
  exemplars.clear();
  phases.clear();
  knownAt = phasesAt = 0;
}

/** The window's edges on whole steps. The newest step is left out while its points may still be on their way. */
export function span(minutes) {
  const step = minutes <= 5 ? 1000 : 3000;
  const to = Math.floor((Date.now() - 1500) / step) * step;
  return { from: to - minutes * 60000, to, step };
}

const rangeQuery = (name, fn, by, { from, to, step }) => ({ name, fn, by, from_unix_ms: from, to_unix_ms: to, step_ms: step });

/** The newest step with a value ends in the middle of an export; as a rate it would show a fall that is none. */
function whole(points) {
  const last = points.findLastIndex((p) => p[1] !== null);
  return points.map((p, i) => (i === last ? [p[0], null] : p));
}

/** Series whose labels agree in `pick` become one; rates and counts may be added, values of gauges may not. */
function addUp(series, pick) {
  const groups = new Map();
  for (const { labels, points } of series) {
    const key = pick(labels);
    if (key === null) continue;
    if (!groups.has(key)) groups.set(key, new Map());
    const sums = groups.get(key);
    for (const [t, v] of points) sums.set(t, v === null ? (sums.get(t) ?? null) : (sums.get(t) ?? 0) + v);
  }
  return [...groups].map(([name, sums]) => ({ name, points: whole([...sums].sort((a, b) => a[0] - b[0])) }));
}

const code = (labels) => STATUS.map((key) => labels[key]).find((v) => v !== undefined && v !== null && v !== "");

function absent(text, metric) {
  const button = metric && el("button", { type: "button", on: { click: () => charts.explore(metric) } }, "Choose a metric");
  return el("div", {}, el("p", {}, text), button);
}

function nothing(frame, what) {
  const message = known.length
    ? absent(`No service here sends ${what}. ${known.length} other metric${known.length === 1 ? " is" : "s are"} in the explorer below.`, known[0].name)
    : absent("No metrics yet. Point an OTLP exporter at 127.0.0.1:4317.");
  return { ...frame, series: [], format: String, message };
}

/** Asks for everything once and draws it. Rejects when the console cannot be asked. */
export async function refresh(minutes) {
  if (Date.now() - knownAt > 4000) {
    known = await api.metrics();
    knownAt = Date.now();
  }
  const window = span(minutes);
  const marks = await phaseMarks(window.from);
  const frame = { ...window, marks };
  const server = SERVER.map((name) => known.find((m) => m.name === name)).find(Boolean);
  await Promise.all([traffic(frame, server), latency(frame, server), users(frame)]);
  return known;
}

/** A log from the stream: phases are marked at once, without asking for them each second. */
export function addLog(record) {
  if (record.event === PHASE) phases.set(record.id, { t: record.time_unix_ms, name: String(record.attributes?.["load.phase.name"] ?? record.body ?? "phase") });
}

async function phaseMarks(since) {
  // The stream may skip records when the page is slow, so the store is asked too, only seldom: the search reads all of it.
  if (Date.now() - phasesAt > 5000) {
    phasesAt = Date.now();
    // A phase that began before the window still reaches into it.
    (await api.logs({ event: PHASE, since_unix_ms: since - 600000, limit: 200 })).forEach(addLog);
  }
  return [...phases.values()].sort((a, b) => a.t - b.t);
}

async function traffic(frame, server) {
  if (!server) {
    charts.rate.draw(nothing(frame, "HTTP or RPC server metrics"));
    charts.errors.draw(nothing(frame, "HTTP server metrics"));
    return;
  }
  const { series } = await api.range(rangeQuery(server.name, "rate", [SERVICE, ...STATUS].join(","), frame));
  const format = (v) => `${trim(v)}/s`;
  const byService = addUp(series, (labels) => labels[SERVICE] || "unnamed service");
  const lines = byService.map((s) => ({ ...s, colour: serviceColour(s.name), area: byService.length === 1 }));
  charts.rate.draw({ ...frame, series: lines, format, sub: server.name });
  if (!series.some((s) => code(s.labels))) {
    charts.errors.draw({ ...frame, series: [], format, message: absent(`${server.name} has no http.response.status_code here, so errors cannot be told.`, server.name) });
    return;
  }
  const failed = addUp(series, (labels) => (Number(code(labels)) >= 500 ? String(code(labels)) : null)).sort((a, b) => a.name.localeCompare(b.name));
  const shades = ["var(--bad)", "var(--c2)", "var(--c4)", "var(--c6)"];
  // No 5xx at all is a fact worth a line: zero wherever requests were counted.
  const zero = byService[0]?.points.map(([t, v]) => [t, v === null ? null : 0]) ?? [];
  const errors = failed.length ? failed : [{ name: "none", points: zero }];
  charts.errors.draw({ ...frame, series: errors.map((s, i) => ({ ...s, colour: shades[i % shades.length] })), format, sub: server.name });
}

async function latency(frame, server) {
  const histogram = server?.kind.endsWith("histogram") ? server : undefined;
  if (!histogram) return charts.latency.draw(nothing(frame, "a histogram of server durations"));
  const ms = histogram.unit === "ms" ? 1 : 1000;
  const [p50, p95, samples] = await Promise.all([
    api.range(rangeQuery(histogram.name, "p50", "", frame)),
    api.range(rangeQuery(histogram.name, "p95", "", frame)),
    api.exemplars({ name: histogram.name, limit: 1000 }),
  ]);
  const scaled = (answer) => (answer.series[0]?.points ?? []).map(([t, v]) => [t, v === null ? null : v * ms]);
  for (const e of samples) if (e.trace_id) exemplars.set(`${e.trace_id}${e.time_unix_ms}`, e);
  for (const key of exemplars.keys()) if (exemplars.size > 6000) exemplars.delete(key); else break;
  const dots = [...exemplars.values()].filter((e) => e.time_unix_ms >= frame.from).map((e) => ({
    t: e.time_unix_ms, v: e.value * ms, traceId: e.trace_id, spanId: e.span_id, bad: Number(code(e.attributes ?? {})) >= 500,
    label: `${duration(e.value * ms)} ${e.attributes?.["http.request.method"] ?? ""} ${e.attributes?.["http.route"] ?? ""}`.trim(),
  }));
  charts.latency.draw({
    ...frame, dots, format: duration, sub: `${histogram.name}, log scale; dots open traces`,
    series: [{ name: "p50", colour: "var(--c1)", points: scaled(p50), thin: true }, { name: "p95", colour: "var(--c5)", points: scaled(p95) }],
  });
}

async function users(frame) {
  if (!known.some((m) => m.name === USERS)) return charts.users.draw(nothing(frame, USERS));
  const { series } = await api.range(rangeQuery(USERS, "last", SERVICE, frame));
  const lines = series.map((s) => ({ name: s.labels[SERVICE] || "unnamed service", points: s.points, stairs: true }));
  for (const line of lines) line.colour = serviceColour(line.name);
  charts.users.draw({ ...frame, series: lines, format: (v) => trim(v), sub: "one line a service, never summed" });
}
