// The lists of logs (live, from the stream) and of traces (asked again when the stream tells of new ones). Called by page.js.

import * as api from "./api.js";
import { clock, count, duration, el, note, oneTabStop, serviceTag, walkRows } from "./dom.js";
import { change, state } from "./state.js";

const MOST_ROWS = 200;
const LEVELS = { TRACE: 1, DEBUG: 5, INFO: 9, WARN: 13, ERROR: 17, FATAL: 21 };

/** The class of a severity's colour. */
export const level = (record) => {
  const n = record.severity_number || LEVELS[record.severity] || 0;
  return n >= 17 ? "error" : n >= 13 ? "warn" : n >= 9 ? "info" : "debug";
};

/** What a log line says: its body, or its event's name. */
export const words = (record) => {
  const body = record.body === null || record.body === undefined ? "" : typeof record.body === "string" ? record.body : JSON.stringify(record.body);
  return record.event && !body.includes(record.event) ? `${record.event} ${body}`.trim() : body || "(no body)";
};

const view = { logs: null, traces: null, pending: [], seen: new Set(), tracesStale: true, asked: 0 };

/** Connects the two sections to their forms. */
export function mount(elements) {
  Object.assign(view, elements);
  view.newer = el("button", { type: "button", class: "newer", hidden: true, on: { click: () => { view.logs.scrollTop = 0; flush(true); } } });
  // Beside the title: over the list it would cover the line that someone is about to click.
  view.logsForm.before(view.newer);
  for (const list of ["logs", "traces"]) {
    walkRows(view[list]);
    view[list].replaceChildren(note("Loading…"));
    const form = view[`${list}Form`];
    form.addEventListener("submit", (event) => event.preventDefault());
    let wait;
    form.addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(() => change({ [list]: Object.fromEntries(new FormData(form)) }, true), 180);
    });
  }
}

/** Shows the filters of the state in the forms, and asks for what changed. */
export function show(before) {
  for (const list of ["logs", "traces"]) {
    const form = view[`${list}Form`];
    for (const input of form.elements) {
      const wanted = state[list][input.name] ?? "";
      if (input === document.activeElement || !input.name || input.value === wanted) continue;
      if (input.tagName === "SELECT" && ![...input.options].some((o) => o.value === wanted)) input.append(el("option", { value: wanted }, wanted));
      input.value = wanted;
    }
  }
  if (JSON.stringify(before.logs) !== JSON.stringify(state.logs)) loadLogs();
  if (JSON.stringify(before.traces) !== JSON.stringify(state.traces)) loadTraces();
}

/** Offers the services in both forms. */
export function learnServices(names) {
  for (const form of [view.logsForm, view.tracesForm]) {
    const select = form.elements.service;
    const held = new Set([...select.options].map((o) => o.value));
    for (const name of names) if (!held.has(name)) select.append(el("option", { value: name }, name));
  }
}

const filtered = (list) => Object.values(state[list]).some(Boolean);

function failed(host, error) {
  host.replaceChildren(note(error.status ? `This filter was refused: ${error.message}` : error.message, "bad"));
}

/** Asks for the newest logs under the filters. */
export async function loadLogs() {
  const mine = ++view.asked;
  // What waited under the old filters must not appear under the new ones.
  view.pending = [];
  const { severity, service, text, trace } = state.logs;
  try {
    const records = await api.logs({ severity, service, text, trace_id: trace, limit: MOST_ROWS });
    if (mine !== view.asked) return;
    view.seen = new Set(records.map((r) => r.id));
    view.pending = view.pending.filter((r) => !view.seen.has(r.id));
    view.logs.replaceChildren(...records.map(logRow));
    if (!records.length) view.logs.replaceChildren(note(filtered("logs") ? "No log line passes these filters." : "No logs yet. Point an OTLP exporter at 127.0.0.1:4317."));
    oneTabStop(view.logs);
    tellNewer();
  } catch (error) { if (mine === view.asked) failed(view.logs, error); }
}

function passes(record) {
  const { severity, service, text, trace } = state.logs;
  return (!severity || (record.severity_number ?? 0) >= LEVELS[severity]) && (!service || record.service === service)
    && (!text || words(record).toLowerCase().includes(text.toLowerCase())) && (!trace || record.trace_id === trace.trim().toLowerCase());
}

/** A log from the stream. */
export function addLog(record) {
  if (view.seen.has(record.id) || !passes(record)) return;
  if (view.seen.size > 5000) view.seen = new Set([...view.seen].slice(-1000));
  view.seen.add(record.id);
  view.pending.push(record);
  // Many more than the list can show may come between two drawings.
  if (view.pending.length > 2 * MOST_ROWS) view.pending.splice(0, view.pending.length - MOST_ROWS);
}

/** A line must not slip away under a reader's pointer, focus or scroll position. */
const reading = () => view.logs.scrollTop > 4 || view.logs.matches(":hover") || view.logs.querySelector(":focus-visible") !== null;

function tellNewer() {
  view.newer.hidden = !view.pending.length;
  view.newer.textContent = `${view.pending.length > MOST_ROWS ? `${MOST_ROWS}+` : view.pending.length} new`;
}

/** Draws what came since; `force` also while someone reads. */
export function flush(force = false, paused = false) {
  if (!view.pending.length || (!force && (paused || reading()))) return tellNewer();
  const rows = view.pending.splice(0).slice(-MOST_ROWS).sort((a, b) => b.time_unix_ms - a.time_unix_ms).map(logRow);
  view.logs.querySelector(".note")?.remove();
  view.logs.prepend(...rows);
  while (view.logs.childElementCount > MOST_ROWS) view.logs.lastElementChild.remove();
  oneTabStop(view.logs);
  tellNewer();
}

function logRow(record) {
  const kind = level(record);
  const opens = record.trace_id ? "Open its trace" : "Show its attributes";
  const row = el("button", { type: "button", class: `row log ${kind}`, title: opens,
    data: { testid: "log-row", logId: record.id, ...(record.trace_id ? { traceId: record.trace_id } : {}), ...(record.span_id ? { spanId: record.span_id } : {}) } },
  el("time", { class: "mono" }, clock(record.time_unix_ms, true)), el("span", { class: `sev ${kind}` }, record.severity || "–"),
  serviceTag(record.service), el("span", { class: "body" }, words(record)), el("span", { class: "go", "aria-hidden": "true" }, record.trace_id ? "trace ›" : ""));
  row.addEventListener("click", () => {
    if (record.trace_id) change({ trace: record.trace_id, span: record.span_id ?? "" });
    else unfold(row, record);
  });
  return row;
}

/** A line without a trace has nowhere to lead: its attributes open below it. */
function unfold(row, record) {
  const open = row.querySelector(".more");
  if (open) open.remove();
  else {
    const text = Object.entries(record.attributes ?? {}).map(([k, v]) => `${k} = ${typeof v === "string" ? v : JSON.stringify(v)}`).join("\n");
    row.append(el("span", { class: "more mono" }, `${words(record)}\n${text || "no attributes"}\nThis line belongs to no span.`));
  }
  row.setAttribute("aria-expanded", String(!open));
}

/** The stream told of a trace. */
export const tracesChanged = () => { view.tracesStale = true; };

/** Asks for the traces again if there may be new ones and nobody is reading them. */
export function refreshTraces(paused) {
  if (view.tracesStale && !paused && !view.traces.matches(":hover") && !view.traces.querySelector(":focus-visible")) return loadTraces();
  return Promise.resolve();
}

let tracesAsked = 0;
/** Asks for the newest traces under the filters. */
export async function loadTraces() {
  const mine = ++tracesAsked;
  view.tracesStale = false;
  try {
    const found = await api.traces({ ...state.traces, limit: 100 });
    if (mine !== tracesAsked) return;
    const longest = found.reduce((a, t) => Math.max(a, t.duration_ms), 0);
    const focused = document.activeElement?.dataset?.traceId;
    view.traces.replaceChildren(...found.map((t) => traceRow(t, longest)));
    if (focused && document.activeElement === document.body) view.traces.querySelector(`[data-trace-id="${CSS.escape(focused)}"]`)?.focus();
    if (!found.length) view.traces.replaceChildren(note(filtered("traces") ? "No trace passes these filters." : "No spans yet. Point an OTLP exporter at 127.0.0.1:4317."));
    const routes = new Set([...view.routes.children].map((o) => o.value));
    for (const t of found) if (t.route && !routes.has(t.route) && routes.size < 50) { routes.add(t.route); view.routes.append(el("option", { value: t.route })); }
    oneTabStop(view.traces);
    mark();
  } catch (error) { if (mine === tracesAsked) failed(view.traces, error); }
}

function traceRow(t, longest) {
  const bad = t.errors > 0;
  return el("button", { type: "button", class: `row trace ${bad ? "error" : ""}`, title: t.trace_id, data: { testid: "trace-row", traceId: t.trace_id },
    on: { click: () => change({ trace: t.trace_id, span: "" }) } },
  el("time", { class: "mono" }, clock(t.start_unix_ms)), el("span", { class: "body" }, t.root_name || "(root span not stored)"),
  serviceTag(t.service), el("span", { class: `code ${bad ? "bad" : ""}` }, t.http_status ? String(t.http_status) : bad ? "error" : ""),
  el("span", { class: "quiet spans" }, `${count(t.spans)} span${t.spans === 1 ? "" : "s"}`),
  el("span", { class: "took" }, el("b", {}, duration(t.duration_ms)), el("span", {}, el("i", { style: { width: `${Math.max(3, (100 * t.duration_ms) / (longest || 1))}%` } }))));
}

/** Marks the rows of the open trace. */
export function mark() {
  for (const row of document.querySelectorAll(".lists button.row")) row.classList.toggle("chosen", Boolean(state.trace) && row.dataset.traceId === state.trace);
}
