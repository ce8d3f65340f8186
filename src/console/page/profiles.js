// Flame graphs: of a service or one of its routes, and of a span. The console draws them (inferno, in Rust); here they are framed.
// Called by page.js and trace.js.

import * as api from "./api.js";
import { count, el, note, plain, quantity } from "./dom.js";
import { change, state } from "./state.js";

const ROW = 16;
const AROUND = 96;
const TALLEST = 620;
const PAUSE = 5000;
const view = { form: null, host: null, known: [], asked: 0, drawn: "" };

export function mount(elements) {
  Object.assign(view, elements);
  view.host.replaceChildren(note("No profile yet. Point a Pyroscope client at this page's address."));
  view.form.addEventListener("submit", (event) => { event.preventDefault(); draw(true); });
  view.form.addEventListener("change", () => change({ profiles: Object.fromEntries(new FormData(view.form)) }));
}

/** Follows the state. */
export function show(before) {
  offer();
  if (JSON.stringify(before.profiles) !== JSON.stringify(state.profiles) || before.window !== state.window) draw();
}

/** Learns of services and routes now and then; the first profile that comes is drawn, later ones when asked for: a graph that is read must not change. */
export async function refresh() {
  if (Date.now() - view.asked < PAUSE) return;
  view.asked = Date.now();
  view.known = await api.profiles();
  offer();
  if (!view.drawn && view.known.length) await draw();
}

const service = () => state.profiles.service || view.known[0]?.service || "";

/** What can be chosen: every service that is profiled, and the routes of the chosen one. */
function offer() {
  const services = [...new Set([...view.known.map((one) => one.service), service()])].filter(Boolean);
  const routes = new Set(view.known.filter((one) => one.service === service()).flatMap((one) => one.routes));
  if (state.profiles.route) routes.add(state.profiles.route);
  fill(view.form.elements.service, services.map((name) => [name, name]), service());
  fill(view.form.elements.route, [["", "all work"], ...[...routes].map((route) => [route, route])], state.profiles.route ?? "");
}

function fill(select, choices, chosen) {
  const now = JSON.stringify(choices);
  // An open menu must not be rebuilt under the pointer.
  if (select.dataset.choices !== now) {
    select.dataset.choices = now;
    select.replaceChildren(...choices.map(([value, text]) => el("option", { value }, text)));
  }
  select.value = chosen;
}

async function draw(again = false) {
  if (!service()) return;
  const query = { service: service(), route: state.profiles.route };
  const mine = `${JSON.stringify(query)} ${state.window} ${again ? Date.now() : ""}`;
  view.drawn = mine;
  const found = await flame({ ...query, from_unix_ms: Date.now() - Number(state.window) * 60000 }, `Flame graph of ${query.service} ${query.route ?? ""}`)
    .catch((error) => note(error.message, "bad"));
  if (view.drawn === mine) view.host.replaceChildren(found ?? note("No sample of this in the chosen time."));
}

/** The numbers and the framed drawing; null when no sample meets the query. */
async function flame(query, title) {
  const { samples, total, unit, depth } = await api.flame(query);
  if (!samples) return null;
  const theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  const src = api.drawing({ ...query, theme });
  const amount = unit === "nanoseconds" ? `${quantity(total / 1e9, "s")} of CPU` : quantity(total, unit === "bytes" ? "By" : unit);
  return el("div", { class: "flame", data: { testid: "flame", samples } },
    el("p", { class: "facts" }, el("span", {}, el("b", {}, count(samples)), " samples"), el("span", {}, amount),
      el("span", {}, "click a function to zoom, Ctrl-F to search"), el("a", { href: src, target: "_blank", rel: "noopener" }, "open alone")),
    // Its scripts zoom and search; without an origin they reach nothing else.
    el("iframe", { src, title, sandbox: "allow-scripts", height: Math.min(TALLEST, depth * ROW + AROUND) }));
}

/** The section of a span that has a profile of its own; null for others. */
export function ofSpan(span) {
  const id = span.attributes?.["pyroscope.profile.id"];
  if (!id) return null;
  const body = el("div", {}, note("Loading…"));
  fillSpan(body, plain(id), span, 0);
  return el("section", { class: "flame", data: { testid: "span-profile" } }, el("h3", {}, "Profile of this span"), body);
}

/** Profiles come later than spans, so a young span is asked for again a few times. */
async function fillSpan(body, id, span, tries) {
  const found = await flame({ profile_id: id }, `Flame graph of the span ${span.name}`).catch((error) => note(error.message, "bad"));
  body.replaceChildren(found ?? note("No sample was taken in this span: at 100 samples a second it takes about 10 ms of computing to get one."));
  if (!found && tries < 8) setTimeout(() => body.isConnected && fillSpan(body, id, span, tries + 1), 2000);
}
