// One time chart in SVG: lines, phase marks, exemplar dots, crosshair. Used by overview.js and explorer.js; knows no metric.

import { clock, el, svg } from "./dom.js";

const MARGIN = { top: 20, right: 12, bottom: 22, left: 58 };
const HEIGHT = 176;
const charts = new Set();

/** Ticks at 1, 2 or 5 times a power of ten; for bytes at powers of two. */
function niceTicks(max, binary, wanted = 4) {
  const raw = max / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = binary ? 2 ** Math.ceil(Math.log2(raw)) : [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw);
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, i) => i * step);
}

function logTicks(low, high) {
  const all = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) all.push(10 ** p);
  return all.length > 6 ? all.filter((_, i) => i % 2 === 0) : all;
}

const timeStep = (span) => [5, 10, 15, 30, 60, 120, 180, 300].map((s) => s * 1000).find((s) => span / s <= 7) ?? 600000;

/** The value whose share of the points at or below is half. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : 0;
}

export class Chart {
  /** `options`: id, title, scale ("linear" or "log"), openTrace(dot). */
  constructor(options) {
    this.options = options;
    this.cursor = null;
    this.sub = el("span", { class: "quiet" });
    this.legend = el("div", { class: "legend" });
    this.plot = svg("svg", { role: "img", tabindex: 0, height: HEIGHT, focusable: "true" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.message = el("div", { class: "message", hidden: true });
    this.stage = el("div", { class: "stage" }, this.plot, this.tip, this.message);
    this.node = el("figure", { class: "card chart", data: { testid: `chart-${options.id}` } },
      el("figcaption", {}, el("h2", {}, options.title), this.sub), this.legend, this.stage);
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.share(null));
    this.plot.addEventListener("blur", () => this.share(null));
    this.plot.addEventListener("click", (event) => this.click(event));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.data && this.paint()).observe(this.stage);
    charts.add(this);
  }

  /**
   * Draws `{from, to, step, series, marks, dots, sub, format, message, binary}`: series of `{name, colour, points: [[ms, number|null]], area, stairs}`,
   * marks of `{t, name}`, dots of `{t, v, bad, traceId, spanId, label}`. `message` is an element shown in place of lines.
   */
  draw(data) {
    this.data = data;
    this.sub.textContent = data.sub ?? "";
    this.message.hidden = !data.message;
    if (data.message) this.message.replaceChildren(data.message);
    const drawn = data.series.map((s) => s.points.map((p) => p[1]).filter((v) => v !== null));
    const peaks = drawn.map((values) => values.reduce((a, b) => Math.max(a, b), 0));
    const top = peaks.indexOf(Math.max(...peaks));
    // What a test or a script may read: the greatest and the middle value of the highest line.
    this.node.dataset.peak = top >= 0 ? peaks[top] : 0;
    this.node.dataset.base = top >= 0 ? median(drawn[top]) : 0;
    this.paint();
  }

  scales(width) {
    const { from, to, series, dots = [] } = this.data;
    const x = (t) => MARGIN.left + ((t - from) / (to - from)) * (width - MARGIN.left - MARGIN.right);
    const bottom = HEIGHT - MARGIN.bottom;
    const values = [...series.flatMap((s) => s.points.map((p) => p[1])), ...dots.map((d) => d.v)].filter((v) => v !== null);
    const high = values.reduce((a, b) => Math.max(a, b), 0);
    const positive = values.filter((v) => v > 0);
    if (this.options.scale === "log" && positive.length) {
      const ticks = logTicks(positive.reduce((a, b) => Math.min(a, b)), Math.max(high, 1e-9));
      const [low, full] = [ticks[0], ticks.at(-1) > ticks[0] ? ticks.at(-1) : ticks[0] * 10];
      const y = (v) => bottom - (Math.log10(Math.max(v, low) / low) / Math.log10(full / low)) * (bottom - MARGIN.top);
      return { x, y, ticks };
    }
    const low = values.reduce((a, b) => Math.min(a, b), 0);
    const ticks = niceTicks(high > 0 ? high : 1, this.data.binary);
    if (low < 0) ticks.unshift(low);
    const [min, max] = [ticks[0], ticks.at(-1)];
    return { x, y: (v) => bottom - ((v - min) / (max - min)) * (bottom - MARGIN.top), ticks };
  }

  paint() {
    const width = Math.max(260, this.stage.clientWidth);
    const { from, to, series, marks = [], dots = [], format } = this.data;
    this.view = { width, ...this.scales(width) };
    const { x, y, ticks } = this.view;
    const bottom = HEIGHT - MARGIN.bottom;
    const parts = [];
    const shown = !this.data.message;
    if (shown) {
      for (const tick of ticks) {
        parts.push(svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
        parts.push(svg("text", { class: "tick", x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)));
      }
    }
    const step = timeStep(to - from);
    for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
      if (x(t) < MARGIN.left + 16 || x(t) > width - 30) continue;
      parts.push(svg("text", { class: "tick", x: x(t), y: HEIGHT - 5, "text-anchor": "middle" }, clock(t)));
    }
    parts.push(...this.phases(marks, width, bottom));
    if (shown) for (const line of series) parts.push(...this.line(line, bottom));
    this.dots = shown ? this.thin(dots) : [];
    for (const dot of this.dots) {
      parts.push(svg("circle", { class: dot.bad ? "dot bad" : "dot", cx: x(dot.t), cy: y(dot.v), r: 3.2,
        "data-testid": "exemplar", "data-trace-id": dot.traceId }));
    }
    this.hair = svg("line", { class: "hair", y1: MARGIN.top, y2: bottom, visibility: "hidden" });
    this.halo = svg("circle", { class: "halo", r: 6.5, visibility: "hidden" });
    parts.push(this.hair, this.halo);
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.plot.setAttribute("width", width);
    this.plot.replaceChildren(...parts);
    this.plot.setAttribute("aria-label", this.summary());
    this.showCursor();
  }

  summary() {
    const { series, message, format } = this.data;
    if (message) return `${this.options.title}: ${message.textContent}`;
    const lines = series.map((s) => {
      const values = s.points.filter((p) => p[1] !== null);
      if (!values.length) return `${s.name}: no values`;
      const peak = values.reduce((a, b) => (b[1] > a[1] ? b : a));
      return `${s.name}: now ${format(values.at(-1)[1])}, peak ${format(peak[1])} at ${clock(peak[0])}`;
    });
    return `${this.options.title}. ${lines.join("; ")}. Left and right move the cursor; Enter opens the nearest exemplar's trace.`;
  }

  phases(marks, width, bottom) {
    const { x } = this.view;
    const { to } = this.data;
    const parts = [];
    // A name is left out where the next one needs its room: the newer phase matters more.
    const start = (mark) => Math.max(x(mark.t), MARGIN.left);
    marks.forEach((mark, i) => {
      const [left, right] = [Math.max(x(mark.t), MARGIN.left), Math.min(x(marks[i + 1]?.t ?? to), width - MARGIN.right)];
      if (right < MARGIN.left || left > width) return;
      if (/spike|peak/i.test(mark.name)) {
        parts.push(svg("rect", { class: "phase-band", x: left, y: MARGIN.top, width: Math.max(0, right - left), height: bottom - MARGIN.top }));
      }
      if (x(mark.t) >= MARGIN.left) parts.push(svg("line", { class: "phase", x1: left, x2: left, y1: MARGIN.top - 14, y2: bottom }));
      const room = marks[i + 1] ? start(marks[i + 1]) - left : width - left;
      if (room > 8 + mark.name.length * 7) parts.push(svg("text", { class: "phase-name", x: left + 4, y: MARGIN.top - 6 }, mark.name));
    });
    return parts;
  }

  /** A line broken only where values are missing for longer than this source usually pauses. */
  line({ points, colour, area, stairs, thin }, bottom) {
    const { x, y } = this.view;
    const known = points.filter((p) => p[1] !== null);
    const gaps = known.slice(1).map((p, i) => p[0] - known[i][0]);
    const limit = Math.max(3 * this.data.step, 2.5 * median(gaps));
    let path = "";
    let fill = "";
    known.forEach(([t, v], i) => {
      const [px, py] = [x(t).toFixed(1), y(v).toFixed(1)];
      const joined = i > 0 && t - known[i - 1][0] <= limit;
      if (!joined) { if (fill) fill += `V${bottom}Z`; fill += `M${px} ${bottom}V${py}`; path += `M${px} ${py}h.01`; }
      const to = stairs ? `H${px}V${py}` : `L${px} ${py}`;
      if (joined) { path += to; fill += to; }
    });
    const parts = [];
    if (area && fill) parts.push(svg("path", { class: "area", d: `${fill}V${bottom}Z`, style: { fill: colour } }));
    if (path) parts.push(svg("path", { class: thin ? "line thin" : "line", d: path, style: { stroke: colour } }));
    return parts;
  }

  /** The greatest dot of each few pixels and each bad one: thousands of circles are neither quick nor legible. */
  thin(dots) {
    const { x } = this.view;
    const kept = new Map();
    for (const dot of dots) {
      const slot = `${Math.round(x(dot.t) / 7)}${dot.bad ? "!" : ""}`;
      if (!kept.has(slot) || kept.get(slot).v < dot.v) kept.set(slot, dot);
    }
    return [...kept.values()].filter((d) => d.t >= this.data.from && d.t <= this.data.to);
  }

  nearest(px, py, reach) {
    const { x, y } = this.view;
    let best = null;
    for (const dot of this.dots ?? []) {
      const away = Math.hypot(x(dot.t) - px, py === null ? 0 : y(dot.v) - py);
      if (away <= reach && (!best || away < best.away)) best = { dot, away };
    }
    return best?.dot ?? null;
  }

  place(event) {
    const box = this.plot.getBoundingClientRect();
    const scale = this.view.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  point(event) {
    if (!this.data) return;
    const [px, py] = this.place(event);
    const { from, to } = this.data;
    const share = (px - MARGIN.left) / (this.view.width - MARGIN.left - MARGIN.right);
    this.near = this.nearest(px, py, 10);
    this.plot.classList.toggle("over-dot", Boolean(this.near));
    this.share(share < 0 || share > 1 ? null : from + share * (to - from));
  }

  click(event) {
    const [px, py] = this.place(event);
    const dot = this.nearest(px, py, 10);
    if (dot) this.options.openTrace?.(dot);
  }

  key(event) {
    if (!this.data) return;
    const { from, to, step } = this.data;
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) {
      const jump = step * (event.shiftKey ? 10 : 1);
      this.near = null;
      this.share(Math.min(to, Math.max(from, (this.cursor ?? to) + move * jump)));
      event.preventDefault();
    } else if (event.key === "Enter" && this.cursor !== null) {
      const dot = this.nearest(this.view.x(this.cursor), null, 1e9);
      if (dot) this.options.openTrace?.(dot);
    }
  }

  /** All charts show the same moment; only the touched one shows the box of values. */
  share(t) {
    if (t === null) this.near = null;
    for (const chart of charts) { chart.cursor = t; chart.owner = chart === this; chart.showCursor(); }
  }

  valueAt(points, t) {
    let best = null;
    for (const p of points) if (p[1] !== null && (!best || Math.abs(p[0] - t) < Math.abs(best[0] - t))) best = p;
    return best && Math.abs(best[0] - t) <= Math.max(this.data.step * 3, (this.data.to - this.data.from) / 60) ? best : null;
  }

  showCursor() {
    if (!this.data || !this.hair) return;
    const { series, format, message } = this.data;
    const t = this.cursor;
    const on = t !== null && !message && t >= this.data.from && t <= this.data.to;
    const values = series.map((s) => (on ? this.valueAt(s.points, t) : s.points.findLast((p) => p[1] !== null)));
    this.legend.replaceChildren(...(message ? [] : series.map((s, i) =>
      el("span", { class: "key" }, el("i", { style: { background: s.colour } }), s.name, el("b", {}, values[i] ? format(values[i][1]) : "–")))));
    this.hair.setAttribute("visibility", on ? "visible" : "hidden");
    this.halo.setAttribute("visibility", on && this.owner && this.near ? "visible" : "hidden");
    this.tip.hidden = !(on && this.owner);
    if (!on) return;
    const px = this.view.x(t);
    this.hair.setAttribute("x1", px);
    this.hair.setAttribute("x2", px);
    if (!this.owner) return;
    const lines = series.map((s, i) => el("div", {}, el("i", { style: { background: s.colour } }), s.name, el("b", {}, values[i] ? format(values[i][1]) : "–")));
    if (this.near) {
      this.halo.setAttribute("cx", this.view.x(this.near.t));
      this.halo.setAttribute("cy", this.view.y(this.near.v));
      lines.push(el("div", { class: "tip-dot" }, `${this.near.label} · click opens its trace`));
    }
    this.tip.replaceChildren(el("time", {}, clock(t)), ...lines);
    const flip = px > this.view.width * 0.6;
    this.tip.style.setProperty("left", flip ? "auto" : `${px + 12}px`);
    this.tip.style.setProperty("right", flip ? `${this.view.width - px + 12}px` : "auto");
  }
}
