// The trace panel: waterfall, the chosen span's details, and the logs of the span or of the whole trace. Called by page.js.

import * as api from "./api.js";
import { clock, count, duration, el, note, oneTabStop, plain, serviceColour, serviceTag, walkRows } from "./dom.js";
import { level, words } from "./lists.js";
import * as profiles from "./profiles.js";
import { change, logsLink, state, traceLink } from "./state.js";

const MOST_ROWS = 200;
let panel;
let held = { id: "", trace: null, logs: [], all: false, tries: 0 };
let timer;
let cameFrom;

export function mount(host) {
  panel = host;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.trace && !/^(INPUT|SELECT)$/.test(document.activeElement?.tagName)) close();
  });
}

const close = () => change({ trace: "", span: "" });

/** Follows the state: opens, closes, moves to another trace or span. */
export function show(before) {
  const id = state.trace.trim().toLowerCase();
  document.body.classList.toggle("with-panel", Boolean(id));
  panel.hidden = !id;
  if (!id) {
    clearTimeout(timer);
    held = { id: "", trace: null, logs: [], all: false, tries: 0 };
    panel.replaceChildren();
    delete panel.dataset.traceId;
    if (before.trace) cameFrom?.focus?.({ preventScroll: true });
    return;
  }
  if (id !== held.id) {
    if (!before.trace) cameFrom = document.activeElement;
    held = { id, trace: null, logs: [], all: false, tries: 0 };
    panel.dataset.traceId = id;
    panel.replaceChildren(head(), note("Loading…"));
    panel.focus({ preventScroll: true });
    panel.scrollTop = 0;
    load();
  } else if (before.span !== state.span && held.trace) draw();
}

/** Spans of one trace arrive in several batches, so a young or missing trace is asked for again a few times. */
async function load() {
  const { id } = held;
  clearTimeout(timer);
  try {
    const [trace, logs] = await Promise.all([api.trace(id), api.traceLogs(id).catch(() => [])]);
    if (id !== held.id) return;
    const changed = !held.trace || held.trace.spans.length !== trace.spans.length || held.logs.length !== logs.length;
    Object.assign(held, { trace, logs });
    if (changed) draw();
    const young = Date.now() - (trace.start_unix_ms + trace.duration_ms) < 15000;
    if (young && held.tries++ < 8) timer = setTimeout(load, 1500);
  } catch (error) {
    if (id !== held.id || held.trace) return;
    const text = error.status === 404
      ? "No span of this trace is stored. It may not have arrived yet, may have been evicted by newer ones, or was sampled out."
      : error.message;
    panel.replaceChildren(head(), note(text, error.status === 404 ? "" : "bad"));
    if (error.status !== 400 && held.tries++ < 20) timer = setTimeout(load, 1500);
  }
}

function head() {
  const { trace, id } = held;
  const root = trace?.spans[0];
  const copy = el("button", { type: "button", class: "small", on: { click: async () => {
    await navigator.clipboard.writeText(id).catch(() => {});
    copy.textContent = "copied";
  } } }, "copy id");
  const services = [...new Set(trace?.spans.map((s) => s.service) ?? [])];
  const errors = trace?.spans.filter((s) => s.status.code === "ERROR").length ?? 0;
  return el("header", { class: "panel-head" },
    el("div", { class: "panel-title" }, el("h2", {}, root?.name ?? "Trace"),
      el("button", { type: "button", class: "small", "aria-label": "Close the trace", title: "Close (Escape)", data: { testid: "trace-close" }, on: { click: close } }, "close ✕")),
    el("p", { class: "panel-id" }, el("code", { data: { testid: "trace-id" } }, id), copy,
      el("a", { class: "button small", href: logsLink(id), data: { testid: "logs-of-trace" } }, "filter logs by this trace")),
    trace && el("p", { class: "facts" }, el("span", {}, clock(trace.start_unix_ms, true)), el("span", {}, el("b", {}, duration(trace.duration_ms))),
      el("span", {}, `${count(trace.spans.length)} span${trace.spans.length === 1 ? "" : "s"}`),
      errors > 0 && el("span", { class: "bad" }, `${errors} with an error`), ...services.map(serviceTag)));
}

function draw() {
  const { trace } = held;
  const chosen = trace.spans.find((s) => s.span_id === state.span);
  const top = panel.scrollTop;
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset.spanId : undefined;
  panel.replaceChildren(head(), waterfall(trace), chosen ? spanDetail(chosen) : logList(held.logs, "Logs of this trace", "trace-logs"));
  panel.scrollTop = top;
  if (focused) panel.querySelector(`.row[data-span-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  else if (document.activeElement === document.body) panel.focus({ preventScroll: true });
}

function waterfall(trace) {
  const total = trace.duration_ms || 1e-6;
  const shown = held.all ? trace.spans : trace.spans.slice(0, MOST_ROWS);
  const rows = el("div", { class: "waterfall", role: "group", "aria-label": "Waterfall of spans" },
    el("div", { class: "axis", "aria-hidden": "true" }, el("span"), el("div", {}, ...[0, 0.25, 0.5, 0.75, 1].map((at) => el("span", {}, duration(at * total))))),
    ...shown.map((span) => spanRow(span, total)));
  const rest = trace.spans.length - shown.length;
  if (rest > 0) rows.append(el("button", { type: "button", class: "small", on: { click: () => { held.all = true; draw(); } } }, `show ${count(rest)} more spans`));
  walkRows(rows);
  oneTabStop(rows);
  return rows;
}

function spanRow(span, total) {
  const bad = span.status.code === "ERROR";
  const percent = (ms) => `${Math.min(100, Math.max(0, (100 * ms) / total))}%`;
  const colour = bad ? "var(--bad)" : serviceColour(span.service);
  const end = span.offset_ms + span.duration_ms;
  // The label goes where there is room: after the bar, before it, or inside its end.
  const label = end / total < 0.86 ? [{ left: percent(end) }, ""]
    : span.offset_ms / total > 0.14 ? [{ right: percent(total - span.offset_ms) }, ""] : [{ right: percent(total - end) }, "inside"];
  const ticks = span.events.map((event) => el("em", { class: event.name === "exception" ? "bad" : "", title: event.name,
    style: { left: percent(event.time_unix_ms - held.trace.start_unix_ms) } }));
  const toggle = () => change({ span: state.span === span.span_id ? "" : span.span_id });
  return el("button", { type: "button", class: `row span ${bad ? "error" : ""} ${span.span_id === state.span ? "chosen" : ""}`,
    "aria-pressed": String(span.span_id === state.span), title: `${span.service}: ${span.name}, ${duration(span.duration_ms)}`,
    data: { testid: "span-row", spanId: span.span_id }, on: { click: toggle } },
  el("span", { class: "name", style: { "padding-left": `${Math.min(span.depth, 12) * 14}px` } }, el("i", { style: { background: serviceColour(span.service) } }),
    span.name, span.kind !== "INTERNAL" && span.kind !== "UNSPECIFIED" && el("small", {}, span.kind.toLowerCase())),
  el("span", { class: "lane" }, el("i", { style: { left: percent(span.offset_ms), width: percent(span.duration_ms), background: colour } }), ...ticks,
    el("b", { style: label[0], class: label[1] }, duration(span.duration_ms))));
}

function table(title, values) {
  const rows = Object.entries(values ?? {}).sort((a, b) => a[0].localeCompare(b[0]));
  if (!rows.length) return null;
  return el("section", {}, el("h3", {}, title), el("table", {}, el("tbody", {}, ...rows.map(([key, value]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, plain(value)))))));
}

function event(one, span) {
  const { "exception.type": type, "exception.message": message, "exception.stacktrace": stack, ...rest } = one.attributes ?? {};
  const at = el("span", { class: "quiet" }, `+${duration(one.time_unix_ms - span.start_unix_ms)}`);
  if (one.name !== "exception") return el("div", { class: "event" }, el("p", {}, el("b", {}, one.name), at), table("", one.attributes));
  return el("div", { class: "event exception", data: { testid: "exception" } },
    el("p", {}, el("b", { class: "bad" }, plain(type ?? "exception")), at), message !== undefined && el("p", { class: "exception-message" }, plain(message)),
    stack !== undefined && el("details", { open: true }, el("summary", {}, "Stack trace"), el("pre", { tabindex: 0 }, plain(stack))), table("", rest));
}

function spanDetail(span) {
  const status = span.status.code === "UNSET" ? "status unset" : `status ${span.status.code}${span.status.message ? `: ${span.status.message}` : ""}`;
  return el("div", { class: "detail", data: { testid: "span-detail", spanId: span.span_id } },
    el("header", {}, el("h3", {}, span.name), el("p", { class: "facts" }, serviceTag(span.service), el("span", {}, span.kind.toLowerCase()),
      el("span", {}, el("b", {}, duration(span.duration_ms))), el("span", {}, `starts at +${duration(span.offset_ms)}`),
      el("span", { class: span.status.code === "ERROR" ? "bad" : "" }, status), el("code", {}, span.span_id))),
    profiles.ofSpan(span), span.events.length > 0 && el("section", {}, el("h3", {}, "Events"), ...span.events.map((one) => event(one, span))),
    logList(held.logs.filter((r) => r.span_id === span.span_id), "Logs of this span", "span-logs"),
    table("Attributes", span.attributes), span.links.length > 0 && links(span.links),
    el("details", {}, el("summary", {}, `Resource and scope (${span.scope || "no scope"})`), table("", span.resource)));
}

const links = (list) => el("section", {}, el("h3", {}, "Links"), ...list.map((link) => el("p", {},
  el("a", { href: `${traceLink(link.trace_id)}&span=${encodeURIComponent(link.span_id)}` }, el("code", {}, link.trace_id)), " span ", el("code", {}, link.span_id), table("", link.attributes))));

function logList(records, title, testid) {
  const lines = [...records].sort((a, b) => a.time_unix_ms - b.time_unix_ms).slice(0, MOST_ROWS).map((record) => {
    const extra = Object.entries(record.attributes ?? {});
    const jump = record.span_id && held.trace.spans.some((s) => s.span_id === record.span_id) && record.span_id !== state.span;
    return el("li", { class: level(record), data: { testid: "trace-log", spanId: record.span_id ?? "" } },
      el("p", {}, el("time", { class: "mono" }, clock(record.time_unix_ms, true)), el("span", { class: `sev ${level(record)}` }, record.severity || "–"),
        el("span", {}, words(record)), jump && el("button", { type: "button", class: "small", on: { click: () => change({ span: record.span_id }) } }, "its span")),
      extra.length > 0 && el("p", { class: "pairs" }, ...extra.map(([k, v]) => el("span", {}, el("i", {}, k), " ", plain(v)))));
  });
  return el("section", { class: "logs", data: { testid } }, el("h3", {}, `${title} (${count(records.length)})`),
    lines.length ? el("ul", {}, ...lines) : note(testid === "span-logs" ? "No log line was written in this span." : "No log line carries this trace id."));
}
