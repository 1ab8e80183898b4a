// One square: a picture, the map over it, the masks' outlines, and words where there is no map.

import { el, say, svg } from "./dom.js";
import { change, paintChange, paintMap, paintPicture } from "./draw.js";

/** How lines of runs and outlines of masks differ besides their colour. */
export const DASHES = ["", "6 3", "2 2", "8 3 2 3", "1 3", "12 4"];

/** A tile of an image of a run (or of the difference of two); `paint()` draws it as the state says. */
export class Tile {
  constructor(view, image, run, { other = null, method = null, step = null, least = 48, flat = false } = {}) {
    Object.assign(this, { view, image, run, other, method, step, least, flat });
    this.base = el("canvas", { class: "base" });
    this.heat = el("canvas", { class: "heat" });
    this.words = el("span", { class: "words" });
    this.lines = svg("svg", { class: "lines", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.element = el("div", { class: "tile" }, this.base, this.heat, flat ? null : this.lines, this.words);
    const shape = run.probe.pictures;
    if (shape) this.element.style.aspectRatio = `${shape.width} / ${shape.height}`;
  }

  /** The snapshot shown. */
  shown(run = this.run) {
    return this.step ?? this.view.model.at(run, this.view.state.step);
  }

  paint() {
    const { state, model } = this.view;
    this.paintBase();
    if (!this.flat) this.paintLines();
    const method = this.method ?? state.method;
    let words = "";
    if (state.mode === "picture" && !this.flat && this.method === null) this.heat.hidden = true;
    else {
      this.heat.hidden = false;
      const now = model.map(this.shown(), method, this.image);
      if (this.other) {
        const before = model.map(this.other.step ?? this.shown(this.other.run), method, this.image);
        words = paintChange(this.heat, before, now, this.largestChange(method), this.least);
      } else words = paintMap(this.heat, now, model.scale(this.run, method, this.image), this.least);
      if (words) this.heat.hidden = true;
    }
    say(this.words, words);
    this.element.classList.toggle("none", words !== "" && words !== "…");
  }

  paintBase() {
    const grey = this.view.state.grey && this.view.state.mode !== "picture";
    if (this.drawn === grey) return;
    const pixels = this.view.model.picture(this.run.probe, this.image);
    if (!pixels) return;
    paintPicture(this.base, pixels, grey);
    this.drawn = grey;
  }

  paintLines() {
    this.lines.hidden = !this.view.state.outlines;
    this.lines.style.display = this.view.state.outlines ? "" : "none";
    if (!this.view.state.outlines || this.outlined) return;
    const paths = Object.values(this.run.probe.masks).map((mask, i) => {
      const d = this.view.model.outline(mask, this.image);
      if (d === null) return null;
      this.lines.setAttribute("viewBox", `0 0 ${mask.width} ${mask.height}`);
      return [svg("path", { d, class: "halo" }), svg("path", { d, class: `mask mask${i % 4}`, "stroke-dasharray": DASHES[i % DASHES.length] })];
    });
    if (paths.includes(null)) return;
    this.lines.replaceChildren(...paths.flat());
    this.outlined = true;
  }

  /** The largest difference over all steps that both runs share: one scale for all of them. */
  largestChange(method) {
    const { model } = this.view;
    const steps = this.run.steps;
    const known = `${method} ${steps.length} ${model.parts.size}`;
    if (this.changeKnown !== known) {
      this.changeKnown = known;
      this.changeScale = 0;
      for (const step of steps) {
        const before = this.other.step ?? model.at(this.other.run, step.step);
        const found = change(model.map(before, method, this.image), model.map(step, method, this.image));
        for (const cell of found ?? []) this.changeScale = Math.max(this.changeScale, Math.abs(cell));
      }
    }
    return this.changeScale;
  }
}
