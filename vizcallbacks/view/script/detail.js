// One image in full: all epochs as a film strip, large maps of every stored method with their cells, curves, numbers.

import { seen, swatch } from "./card.js";
import { Chart, reachable, title } from "./charts.js";
import { el, number, say } from "./dom.js";
import { PREDICTED } from "./model.js";
import { Strip } from "./tile.js";

export class Detail {
  constructor(view) {
    this.view = view;
    this.element = el("dialog", { class: "detail", "aria-labelledby": "vc-detail-name" });
    this.element.addEventListener("close", () => this.view.closed());
    this.element.addEventListener("click", (event) => { if (event.target === this.element) this.element.close(); });
  }

  /** Show an image; `order`: the images that ↑ and ↓ walk through. */
  open(image, order) {
    const { view } = this;
    const { model, runs, state } = view;
    const [{ probe }] = runs;
    this.order = order.includes(image) ? order : probe.names.map((_, i) => i);
    this.image = image;
    const label = model.className(probe, model.classOf(runs[0], image));
    const violation = view.violation(image);
    this.frames = [];
    const strips = runs.map((run) => {
      const frames = view.epochs.map(({ step, when }, place) => {
        const own = model.at(run, step);
        const tile = new Strip(view, image, [{ run, step: own, method: state.method }], { flat: true });
        const right = model.right(run, own, image);
        const button = el("button", { type: "button", class: "frame", tabindex: "-1", onclick: () => view.go(place),
          title: `${run.name}, ${when}: ${seen(model, run, own, image)}` },
          tile.element, el("span", {}, `${right === null ? "" : right ? "✓ " : "✗ "}${step}`));
        this.frames.push({ tile, button, place });
        return button;
      });
      return el("div", { class: "film" }, el("span", { class: "run" }, swatch(view, run), run.name), el("div", { class: "frames" }, ...frames));
    });
    this.tiles = [];
    const large = (heading, shown) => {
      const tile = new Strip(view, image, [shown], { least: 240 });
      const readout = el("output", { class: "cell" });
      this.tiles.push({ tile, shown, readout, cell: null });
      const entry = this.tiles.at(-1);
      tile.element.tabIndex = 0;
      tile.element.setAttribute("role", "img");
      tile.element.setAttribute("aria-label", `${shown.run.name}: move with Shift and the arrow keys from cell to cell`);
      tile.element.addEventListener("pointermove", (event) => this.point(entry, event));
      tile.element.addEventListener("pointerleave", () => { entry.cell = null; this.read(entry); });
      tile.element.addEventListener("keydown", (event) => this.step(entry, event));
      entry.figure = el("figure", { class: "large" }, el("figcaption", {}, ...heading), tile.element, readout);
      return entry.figure;
    };
    this.said = [];
    const why = (run) => {
      if (!run.steps.some((step) => step.predicted?.images.includes(image))) return null;
      const asked = el("b");
      const figure = large([swatch(view, run), asked], { run, method: PREDICTED });
      this.tiles.at(-1).asked = asked;
      return figure;
    };
    const methods = [...new Set([state.method, ...model.methods(runs)])].filter(Boolean);
    const maps = runs.map((run) => {
      const said = el("span", { class: "seen" });
      this.said.push({ run, said });
      return el("div", { class: "ofrun" }, ...methods.map((method, i) =>
        large([swatch(view, run), el("b", {}, run.name), methods.length > 1 ? ` ${method} ` : " ", i ? null : said],
          { run, method })), why(run));
    });
    const pair = view.pair();
    if (methods.length && (runs.length > 1 || view.epochs.length > 1))
      maps.push(el("div", { class: "ofrun" }, large([el("b", {}, view.differenceName())],
        { run: pair.now, other: pair.before, method: state.method })));
    const curve = (measure) => runs.map((run) => ({
      run,
      values: view.epochs.map(({ step }) => {
        const own = model.at(run, step);
        return own.step === step ? model.value(own, measure, image) : null;
      }),
    }));
    const measures = model.measures(runs);
    const drawn = ["probability", ...measures.filter((name) => name.startsWith("energy/")), "drift", "score"]
      .filter((name, i, all) => measures.includes(name) && all.indexOf(name) === i).slice(0, 4);
    this.charts = drawn.map((name) => new Chart(view, name === "probability" ? "probability of the class" : title(name), curve(name)));
    this.numbers = measures.map((name) => ({ name, cells: runs.map((run) => ({ run, cell: el("td") })) }));
    this.predictions = runs.map((run) => ({ run, cells: view.epochs.map(({ step }) => el("td", {}, seen(model, run, model.at(run, step), image))) }));
    this.element.replaceChildren(
      el("header", {},
        el("h2", { id: "vc-detail-name" }, probe.names[image], " ", el("span", { class: "class" }, label)),
        el("span", { class: "epoch", role: "status" }),
        el("button", { type: "button", "aria-label": "image before", title: "image before (↑)", onclick: () => this.walk(-1) }, "↑"),
        el("button", { type: "button", "aria-label": "next image", title: "next image (↓)", onclick: () => this.walk(1) }, "↓"),
        el("button", { type: "button", class: "close", autofocus: true, "aria-label": "close", title: "close (Esc)", onclick: () => this.element.close() }, "×")),
      violation ? el("p", { class: "violation" }, `✗ fails: ${violation}`) : "",
      el("div", { class: "films", role: "group", "aria-label": "film strip of all epochs" }, ...strips),
      el("div", { class: "maps" }, ...maps),
      el("div", { class: "charts" }, ...this.charts.map((chart) => chart.element)),
      el("div", { class: "tables", tabindex: "0", role: "region", "aria-label": "numbers of this image" },
        el("table", {}, el("caption", {}, "measures now"),
          el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "measure"), ...runs.map((run) => el("th", { scope: "col" }, run.name)))),
          el("tbody", {}, ...this.numbers.map(({ name, cells }) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map(({ cell }) => cell))))),
        el("table", {}, el("caption", {}, "prediction by epoch"),
          el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "when"), ...runs.map((run) => el("th", { scope: "col" }, run.name)))),
          el("tbody", {}, ...view.epochs.map(({ when }, place) => el("tr", {}, el("th", { scope: "row" }, when), ...this.predictions.map(({ cells }) => cells[place])))))));
    if (!this.element.open) this.element.showModal();
    reachable(this.element.querySelector(".charts"));
    this.element.scrollTop = 0;
    this.paint();
    for (const { tile } of this.frames) tile.paint();
  }

  walk(by) {
    const place = this.order.indexOf(this.image) + by;
    if (place >= 0 && place < this.order.length) this.view.open(this.order[place]);
  }

  /** What a step changes; with `whole`, also what switches change. */
  paint(whole = false) {
    const { view } = this;
    const { model, state } = view;
    say(this.element.querySelector(".epoch"), view.epochs[view.place].when);
    for (const { tile, button, place } of this.frames) {
      const now = place === view.place;
      if (now !== button.classList.contains("now")) {
        button.classList.toggle("now", now);
        button.tabIndex = now ? 0 : -1;
        if (now) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
        if (now) button.parentElement.scrollTo({ left: button.offsetLeft - button.parentElement.clientWidth / 2 });
      }
      if (whole) tile.paint();
    }
    for (const entry of this.tiles) {
      if (entry.asked) {
        const step = model.at(entry.shown.run, state.step);
        entry.figure.hidden = !model.map(step, PREDICTED, this.image);
        if (entry.figure.hidden) continue;
        say(entry.asked, `why ${model.className(entry.shown.run.probe, step.predictions[this.image])}?`);
      }
      entry.tile.paint();
      this.read(entry);
    }
    for (const { run, said } of this.said) say(said, seen(model, run, model.at(run, state.step), this.image));
    for (const chart of this.charts) chart.paint();
    for (const { name, cells } of this.numbers)
      for (const { run, cell } of cells) say(cell, number(model.value(model.at(run, state.step), name, this.image)));
  }

  point(entry, event) {
    const box = entry.tile.element.getBoundingClientRect();
    const map = this.mapOf(entry);
    if (!map) return;
    const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    entry.cell = [at((event.clientY - box.top) / box.height, map.height), at((event.clientX - box.left) / box.width, map.width)];
    this.read(entry);
  }

  step(entry, event) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const map = this.mapOf(entry);
    if (!event.shiftKey || !by || !map) return;
    event.preventDefault();
    event.stopPropagation();
    const [row, column] = entry.cell ?? [0, 0];
    entry.cell = [Math.min(map.height - 1, Math.max(0, row + by[0])), Math.min(map.width - 1, Math.max(0, column + by[1]))];
    this.read(entry);
  }

  mapOf({ tile, shown }) {
    return this.view.model.map(tile.shown(shown), shown.method, this.image);
  }

  /** The value under the pointer, or the map's largest. */
  read(entry) {
    const { shown, readout, cell } = entry;
    const map = this.mapOf(entry);
    if (!map?.cells || !map.peak) return say(readout, "");
    const raw = (i) => (map.cells[i] / map.top) * map.peak;
    const sum = map.cells.reduce((all, one) => all + Math.max(0, one), 0);
    if (!cell) return say(readout, shown.other ? this.view.differenceLegend() : `largest value ${number(map.peak)}, map ${map.height} × ${map.width}`);
    const i = cell[0] * map.width + cell[1];
    return say(readout, `row ${cell[0] + 1}, column ${cell[1] + 1}: ${number(raw(i))}, ${number((100 * Math.max(0, map.cells[i])) / (sum || 1))} % of the map`);
  }
}
