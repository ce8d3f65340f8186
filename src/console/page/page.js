// Entry of the page: header, services, the live stream, and the beat that lets each view draw itself. Views live beside it.

import * as api from "./api.js";
import { ago, bytes, count, el, serviceColour, short } from "./dom.js";
import * as explorer from "./explorer.js";
import * as lists from "./lists.js";
import * as overview from "./overview.js";
import * as profiles from "./profiles.js";
import { change, onChange, start, state } from "./state.js";
import * as trace from "./trace.js";

const at = (id) => document.getElementById(id);
const NAMES = { spans: "Spans", logs: "Log records", points: "Metric points", profiles: "Profiles" };
let paused = false;
let connected = false;
let reached = false;
let started;

function drawSignals(status) {
  // Another process answers now: what the last one held is nowhere any more.
  if (started && started !== status.started_unix_ms) overview.forget();
  started = status.started_unix_ms;
  at("version").textContent = status.version ?? "";
  at("retention").textContent = status.retention;
  at("signals").replaceChildren(...Object.entries(NAMES).map(([key, name]) => {
    const s = status.signals[key];
    const full = Math.min(1, Math.max(s.stored / (s.max_count || 1), s.bytes / (s.max_bytes || 1)));
    const title = `${count(s.stored)} of at most ${count(s.max_count)}; ${bytes(s.bytes)} of at most ${bytes(s.max_bytes)}. Received = stored + evicted.`;
    return el("div", { title, data: { testid: `signal-${key}` } }, el("dt", {}, name),
      el("dd", {}, el("b", {}, count(s.stored)), " stored", el("meter", { min: 0, max: 1, value: full.toFixed(4), "aria-label": `${name}: share of the limit in use` })),
      el("dd", { class: "quiet" }, `${count(s.received)} received · ${count(s.evicted)} evicted${s.rejected ? ` · ${count(s.rejected)} rejected` : ""}`));
  }));
}

function drawServices(services) {
  for (const s of [...services].sort((a, b) => a.name.localeCompare(b.name))) serviceColour(s.name);
  lists.learnServices(services.map((s) => s.name));
  const held = document.activeElement?.dataset?.service;
  at("services").replaceChildren(...services.map((s) => {
    const on = state.logs.service === s.name && state.traces.service === s.name;
    const service = on ? "" : s.name;
    return el("button", { type: "button", class: "chip", "aria-pressed": String(on), title: "Filter logs and traces by this service", data: { service: s.name },
      on: { click: () => change({ logs: { ...state.logs, service }, traces: { ...state.traces, service } }) } },
    el("i", { style: { background: serviceColour(s.name) } }), el("b", {}, s.name),
    el("span", { class: "quiet" }, `${short(s.spans)} spans · ${short(s.logs)} logs · ${short(s.points)} points · ${ago(s.last_seen_unix_ms)}`));
  }));
  if (!services.length) at("services").append(el("p", { class: "quiet" }, "No service has sent anything yet. Point an OTLP exporter at 127.0.0.1:4317 (gRPC) or 127.0.0.1:4318 (HTTP)."));
  if (held) [...at("services").children].find((c) => c.dataset.service === held)?.focus();
}

function drawLive() {
  const [kind, text, hint] = paused ? ["paused", "Paused", "Resume"] : connected ? ["on", "Live", "Pause"] : ["off", reached ? "Lost" : "Connecting", "Pause"];
  at("live").className = `live ${kind}`;
  at("live").querySelector("span").textContent = text;
  at("live").title = `${hint} the page`;
  at("live").setAttribute("aria-label", `${text}. ${hint} the page`);
}

function tellGone(error) {
  const text = !error ? "" : error.status === 401 || error.status === 403
    ? `The console refused this page: ${error.message} With a token, open it once with ?token=… in the address.`
    : error.status ? `The console could not answer: ${error.message}`
    : `The console is gone; what is shown is what it last said${reached ? "" : " (nothing yet)"}. Trying to reach it again…`;
  if (at("banner").textContent !== text) at("banner").textContent = text;
  at("banner").hidden = !text;
}

/** Draws everything that is asked for, not streamed. One at a time: a slow console must not pile up questions. */
let busy = false;
async function beat(force = false) {
  if (busy || (!force && (paused || document.hidden))) return;
  busy = true;
  try {
    const minutes = Number(state.window);
    const [services, metrics] = await Promise.all([api.services(), overview.refresh(minutes), lists.refreshTraces(paused), profiles.refresh()]);
    drawServices(services);
    explorer.learn(metrics);
    await explorer.refresh(minutes);
    reached = true;
    tellGone(null);
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    tellGone(error);
  } finally { busy = false; }
}

function connect() {
  api.stream({
    open() {
      connected = true;
      tellGone(null);
      drawLive();
      lists.loadLogs();
      lists.tracesChanged();
      beat();
    },
    gone() { connected = false; drawLive(); tellGone(new api.ApiError(0, "")); },
    status(status) { if (!paused) drawSignals(status); },
    log(record) { lists.addLog(record); overview.addLog(record); },
    trace: lists.tracesChanged,
  });
}

async function begin() {
  overview.mount(at("charts"), { openTrace: (id, span) => change({ trace: id, span: span ?? "" }), explore: explorer.choose });
  explorer.mount(at("explorer"));
  lists.mount({ logs: at("logs"), traces: at("traces"), logsForm: at("log-filters"), tracesForm: at("trace-filters"), routes: at("routes") });
  profiles.mount({ form: at("profile-filters"), host: at("profile") });
  trace.mount(at("panel"));
  at("window").addEventListener("click", (event) => event.target.dataset.minutes && change({ window: event.target.dataset.minutes }, true));
  at("live").addEventListener("click", () => { paused = !paused; drawLive(); if (!paused) { lists.flush(true); beat(true); } });
  onChange((now, before) => {
    for (const button of at("window").children) button.setAttribute("aria-pressed", String(button.dataset.minutes === now.window));
    lists.show(before);
    trace.show(before);
    profiles.show(before);
    lists.mark();
    if (now.metric !== before.metric) explorer.drawList();
    if (["window", "metric", "fn", "by"].some((key) => now[key] !== before[key])) beat(true);
  });
  drawLive();
  // Services first, so that each has the same colour in every view and after every reload.
  await Promise.all([api.status().then(drawSignals), api.services().then(drawServices)]).catch(tellGone);
  start();
  connect();
  setInterval(beat, 1000);
  setInterval(() => lists.flush(false, paused), 300);
}

begin();
