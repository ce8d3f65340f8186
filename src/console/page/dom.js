// Elements and number formats. Used by every module of the page. Text goes in through textContent only: telemetry is
// written by others and may hold markup. Nothing here may know the API.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [name, listener] of Object.entries(value)) node.addEventListener(name, listener);
    else if (key === "data") Object.assign(node.dataset, value);
    // The CSP forbids style attributes; the object model is allowed.
    else if (key === "style") for (const [name, text] of Object.entries(value)) node.style.setProperty(name, text);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

/** An HTML element; strings among the children become text nodes. */
export const el = (tag, props, ...children) => fill(document.createElement(tag), props, children);
/** An SVG element. */
export const svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
/** 12345 -> "12,345". */
export const count = (n) => whole.format(n ?? 0);
/** 12345 -> "12.3k", for tight places. */
export const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format;

/** Milliseconds -> "2.31 ms", "740 µs", "1.20 s". */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms === 0) return "0 ms";
  if (ms < 1) return `${trim(ms * 1000, 3)} µs`;
  if (ms < 1000) return `${trim(ms, 3)} ms`;
  return ms < 120000 ? `${trim(ms / 1000, 3)} s` : `${trim(ms / 60000, 3)} min`;
}

/** Three significant digits without a trailing ".0". */
export function trim(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return size < 100000 ? whole.format(value) : short(value);
  return String(Number(value.toPrecision(digits)));
}

/** Bytes -> "12 MiB". */
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; Math.abs(n) >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${trim(n)} ${units[i]}`;
}

/** A metric value with its UCUM unit; `rate` appends "/s". */
export function quantity(value, unit, rate = false) {
  if (value === null || value === undefined) return "–";
  const per = rate ? "/s" : "";
  if (unit === "s" && !rate) return duration(value * 1000);
  if (unit === "ms" && !rate) return duration(value);
  if (unit === "By") return bytes(value) + per;
  const plain = !unit || unit === "1" || unit.startsWith("{") ? "" : ` ${unit}`;
  return `${trim(value)}${plain}${per}`;
}

const pad = (n, width = 2) => String(n).padStart(width, "0");
/** Local time of day, "14:03:22"; with milliseconds where lines need order. */
export function clock(ms, millis = false) {
  const d = new Date(ms);
  const text = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return millis ? `${text}.${pad(d.getMilliseconds(), 3)}` : text;
}

/** How long ago, in words. */
export function ago(ms) {
  const s = Math.max(0, (Date.now() - ms) / 1000);
  if (s < 5) return "now";
  if (s < 90) return `${Math.round(s)} s ago`;
  return s < 5400 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3600)} h ago`;
}

/** A telemetry value of any shape, as text. */
export const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const colours = new Map();
/** The CSS colour of a service: the same everywhere, given out in order of appearance. */
export function serviceColour(name) {
  if (!colours.has(name)) colours.set(name, `var(--c${(colours.size % 8) + 1})`);
  return colours.get(name);
}

/** The small square and the name. */
export const serviceTag = (name) =>
  el("span", { class: "svc", title: name }, el("i", { style: { background: serviceColour(name) } }), name || "unknown");

/** A paragraph for an empty, loading or error state. */
export const note = (text, kind = "") => el("p", { class: `note ${kind}` }, text);

/** Up and Down walk the rows of a list; Tab passes it as one stop. */
export function walkRows(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const rows = [...list.querySelectorAll("button.row")];
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (next) { next.focus(); event.preventDefault(); }
  });
}

/** Only the first row (or the focused one) is a Tab stop. */
export function oneTabStop(list) {
  const rows = list.querySelectorAll("button.row");
  const stop = list.contains(document.activeElement) ? document.activeElement : rows[0];
  for (const row of rows) row.tabIndex = row === stop ? 0 : -1;
}
