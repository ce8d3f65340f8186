// The query API as functions. Used by every view; no drawing here.

/** A refusal of the API, with the words it gave. */
export class ApiError extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

function address(path, params) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params ?? {})) {
    if (value !== undefined && value !== null && value !== "") query.append(key, value);
  }
  const text = query.toString();
  return `/api/v1/${path}${text ? `?${text}` : ""}`;
}

async function ask(path, params) {
  let answer;
  try {
    answer = await fetch(address(path, params), { headers: { accept: "application/json" } });
  } catch {
    throw new ApiError(0, "The console does not answer.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, body.error ?? `The console answered ${answer.status}.`);
  return body;
}

export const status = () => ask("status");
export const services = () => ask("services").then((a) => a.services);
export const logs = (filters) => ask("logs", filters).then((a) => a.logs);
export const traces = (filters) => ask("traces", filters).then((a) => a.traces);
export const trace = (id) => ask(`traces/${encodeURIComponent(id)}`);
export const traceLogs = (id) => ask(`traces/${encodeURIComponent(id)}/logs`).then((a) => a.logs);
export const metrics = () => ask("metrics").then((a) => a.metrics);
export const series = (name) => ask("metrics/series", { name }).then((a) => a.series);
export const range = (query) => ask("metrics/range", query);
export const exemplars = (query) => ask("metrics/exemplars", query).then((a) => a.exemplars);

export const profiles = () => ask("profiles").then((a) => a.profiles);
export const flame = (query) => ask("profiles/flamegraph", { ...query, max_nodes: 1 });
/** Where the drawing of a flame graph is. */
export const drawing = (query) => address("profiles/flamegraph.svg", query);

/**
 * The live stream. Calls `on.log`, `on.trace`, `on.status` with parsed events, `on.open` at each (re)connection and `on.gone` when it
 * breaks. Reconnects for ever: EventSource gives up after an HTTP error, and a restarted console should just come back.
 */
export function stream(on) {
  let source;
  const connect = () => {
    source = new EventSource("/api/v1/stream");
    source.onopen = () => on.open();
    source.onerror = () => {
      on.gone();
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
    };
    for (const name of ["log", "trace", "status"]) {
      source.addEventListener(name, (event) => {
        try { on[name](JSON.parse(event.data)); } catch { /* one broken event must not end the stream */ }
      });
    }
  };
  connect();
}
