// What the page shows, kept in the URL's hash so that a link and the Back button restore it. Forms understood:
//   #trace=ID&span=ID            the trace panel
//   #logs?trace=ID&severity=WARN  a filtered log list       #traces?service=X   a filtered trace list
//   #profiles?service=X&route=Y   a flame graph
//   #trace=ID&logs.text=x&traces.status=error&window=15&metric=NAME&fn=p95&by=KEY     any mix of these
// Used by page.js and the views; no drawing here.

const LISTS = { logs: ["severity", "service", "text", "trace"], traces: ["status", "service", "route", "min_ms"], profiles: ["service", "route"] };
const empty = () => ({ trace: "", span: "", window: "5", metric: "", fn: "", by: "", logs: {}, traces: {}, profiles: {} });

export const state = empty();
const listeners = [];

function parse(hash) {
  const next = empty();
  const text = hash.replace(/^#/, "");
  const cut = text.indexOf("?");
  const list = cut >= 0 ? text.slice(0, cut) : "";
  for (const [key, value] of new URLSearchParams(cut >= 0 ? text.slice(cut + 1) : text)) {
    const [head, tail] = key.split(".", 2);
    if (list in LISTS && LISTS[list].includes(key)) next[list][key] = value;
    else if (tail && head in LISTS && LISTS[head].includes(tail)) next[head][tail] = value;
    else if (typeof next[key] === "string") next[key] = value;
  }
  if (!["1", "5", "15"].includes(next.window)) next.window = "5";
  return next;
}

function write() {
  const flat = new URLSearchParams();
  for (const key of ["trace", "span", "metric", "fn", "by"]) if (state[key]) flat.set(key, state[key]);
  if (state.window !== "5") flat.set("window", state.window);
  const used = Object.keys(LISTS).filter((list) => Object.values(state[list]).some(Boolean));
  const alone = used.length === 1 && flat.size === 0 ? used[0] : "";
  for (const list of used) {
    for (const [key, value] of Object.entries(state[list])) if (value) flat.set(alone ? key : `${list}.${key}`, value);
  }
  return alone ? `#${alone}?${flat}` : flat.size ? `#${flat}` : "#";
}

/** Calls `listener(state, before)` after each change. */
export const onChange = (listener) => listeners.push(listener);

const tell = (before) => listeners.forEach((listener) => listener(state, before));

/** Changes the state; `replace` (typing in a filter) leaves no step for the Back button. */
export function change(patch, replace = false) {
  const before = structuredClone(state);
  Object.assign(state, patch);
  const hash = write();
  if (hash !== location.hash && !(hash === "#" && !location.hash)) history[replace ? "replaceState" : "pushState"](null, "", hash);
  tell(before);
}

/** The link that opens a state, for real anchors. */
export const traceLink = (id) => `#trace=${encodeURIComponent(id)}`;
export const logsLink = (id) => `#logs?trace=${encodeURIComponent(id)}`;

function restore() {
  const before = structuredClone(state);
  Object.assign(state, parse(location.hash));
  tell(before);
}

/** Reads the hash now and whenever it moves (Back, Forward, a link, a pasted address). */
export function start() {
  // A bare "#name" is the skip link, not a state. Back and a pasted address fire one event or both; views compare, so twice is harmless.
  const moved = () => { if (!/^#\w+$/.test(location.hash)) restore(); };
  window.addEventListener("popstate", moved);
  window.addEventListener("hashchange", moved);
  restore();
}
