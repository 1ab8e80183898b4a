// Curves over the steps: one line a run, the zone that a rule forbids shaded, and the whole a scrubber.

import { el, number, say, svg } from "./dom.js";
import { DASHES } from "./tile.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [300, 96, 34, 8, 8, 18];

/** A chart. `curves`: [{run, values}] by position of the epochs; `zone`: {low, high} that a mean must lie in. */
export class Chart {
  constructor(view, title, curves, zone = null) {
    Object.assign(this, { view, curves });
    const values = curves.flatMap((curve) => curve.values).filter((value) => value !== null);
    const bounds = [zone?.low, zone?.high].filter((bound) => bound !== null && bound !== undefined);
    let [low, high] = [Math.min(...values, ...bounds), Math.max(...values, ...bounds)];
    if (!values.length) [low, high] = [0, 1];
    if (low >= 0 && high <= 1) [low, high] = [0, high > 0.5 ? 1 : Math.max(0.1, Math.ceil(high * 10 + 0.5) / 10)];
    else if (low >= -1 && high <= 1) [low, high] = [-1, 1];
    else if (low === high) high = low + 1;
    const count = view.epochs.length;
    this.x = (place) => LEFT + (count < 2 ? 0.5 : place / (count - 1)) * (WIDTH - LEFT - RIGHT);
    const y = (value) => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    this.cursor = svg("line", { class: "cursor", y1: TOP - 4, y2: HEIGHT - BOTTOM });
    const parts = [];
    for (const [bound, edge] of [[zone?.low, low], [zone?.high, high]]) {
      if (bound === null || bound === undefined) continue;
      const [from, to] = [y(bound), y(edge)].sort((a, b) => a - b);
      parts.push(svg("rect", { class: "forbidden", x: LEFT, width: WIDTH - LEFT - RIGHT, y: from, height: Math.max(0, to - from) }));
      parts.push(svg("line", { class: "bound", x1: LEFT, x2: WIDTH - RIGHT, y1: y(bound), y2: y(bound) }));
    }
    for (const at of [low, high]) {
      parts.push(svg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at) }));
      parts.push(svg("text", { class: "tick", x: LEFT - 5, y: y(at) + 3.5, "text-anchor": "end" }, String(Number(at.toPrecision(2)))));
    }
    const ends = [[0, "start"], [count - 1, count > 1 ? "end" : "start"]].slice(0, count > 1 ? 2 : 1);
    for (const [place, anchor] of ends)
      parts.push(svg("text", { class: "tick", x: this.x(place), y: HEIGHT - 4, "text-anchor": anchor }, String(view.epochs[place].step)));
    for (const { run, values: points } of curves) {
      const known = points.map((value, place) => (value === null ? null : [this.x(place), y(value)]));
      const path = known.map((at, i) => (at ? `${i && known[i - 1] ? "L" : "M"}${at[0].toFixed(1)} ${at[1].toFixed(1)}` : "")).join("");
      parts.push(svg("path", { class: `curve run${view.colour(run)}`, d: path, "stroke-dasharray": DASHES[view.colour(run) % DASHES.length] }));
      if (known.filter(Boolean).length === 1) {
        const [cx, cy] = known.find(Boolean);
        parts.push(svg("circle", { class: `dot run${view.colour(run)}`, cx, cy, r: 3 }));
      }
    }
    this.readings = curves.map(({ run }) => el("span", { class: `reading run${view.colour(run)}` }));
    const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, ...parts, this.cursor);
    drawing.addEventListener("pointerdown", (event) => {
      drawing.setPointerCapture(event.pointerId);
      this.scrub(drawing, event);
    });
    drawing.addEventListener("pointermove", (event) => { if (event.buttons) this.scrub(drawing, event); });
    const drawn = count > 1 || parts.some((part) => part.classList.contains("forbidden")); // one value is read, not drawn
    this.element = el("figure", { class: "chart" },
      el("figcaption", {}, el("span", { class: "what" }, title), ...this.readings), drawn ? drawing : null);
  }

  scrub(drawing, event) {
    const box = drawing.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const share = (at - LEFT) / (WIDTH - LEFT - RIGHT);
    const last = this.view.epochs.length - 1;
    this.view.go(Math.round(Math.min(1, Math.max(0, share)) * last));
  }

  paint() {
    const place = this.view.place;
    const x = this.x(place).toFixed(1);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.curves.forEach(({ values }, i) => say(this.readings[i], number(values[place])));
  }
}

/** Charts that have to be scrolled sideways (on a phone) can be scrolled by keys too. */
export function reachable(box) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

/** The means worth a chart: what rules are about first, then energies, accuracy, and the rest; at most `most`. */
export function meanCharts(view, runs, most = 5) {
  const { model } = view;
  const rules = runs.flatMap((run) => run.verdict?.rules ?? []).filter((rule) => rule.of_mean);
  const measures = model.measures(runs);
  const wanted = [
    ...rules.map((rule) => rule.measure).filter((name) => measures.includes(name)),
    ...measures.filter((name) => name.startsWith("energy/")),
    ...(runs.some((run) => run.probe.labels) ? ["accuracy"] : []),
    "probability", "drift", "entropy", "dead",
    ...measures,
  ];
  const curvesOf = (name) => runs.map((run) => ({
    run,
    values: view.epochs.map(({ step }) => {
      const at = model.at(run, step);
      return at.step === step ? model.mean(run, at, name) : null;
    }),
  }));
  return [...new Set(wanted)]
    .map((name) => ({ name, curves: curvesOf(name) }))
    .filter(({ curves }) => curves.some((curve) => curve.values.some((value) => value !== null)))
    .slice(0, most)
    .map(({ name, curves }) => new Chart(view, title(name), curves, rules.find((rule) => rule.measure === name)));
}

/** A measure's name for people. */
export function title(name) {
  const [first, mask] = name.split(/\/(.*)/s);
  if (first === "energy" && mask) return `map on ${mask}`;
  return mask ? `${first} ${mask}` : first;
}
