// Squares side by side: pictures, one canvas with the maps over them, outlines of masks, words where there is no map.

import { el, say, svg } from "./dom.js";
import { change, paintChange, paintMap, Surface } from "./draw.js";

/** How lines of runs and outlines of masks differ besides their colour. */
export const DASHES = ["", "6 3", "2 2", "8 3 2 3", "1 3", "12 4"];

/** Tiles of one image that stand side by side. */
export class Strip {
  /** `tiles`: [{run, step, method, other}]. `step`: always this one; `method`: always this one; `other`: what is
   * subtracted, {run, step}. `least`: pixels of a square's canvas; `flat`: without outlines. */
  constructor(view, image, tiles, { least = 48, flat = false } = {}) {
    Object.assign(this, { view, image, least, flat });
    this.canvas = el("canvas", { class: "heat" });
    this.pitch = 13; // of a square and a gap, in twelfths of a square
    const whole = tiles.length * this.pitch - 1;
    this.tiles = tiles.map((tile, place) => {
      const left = `${(100 * place * this.pitch) / whole}%`;
      const size = `left:${left};width:${1200 / whole}%`;
      const base = el("span", { class: "base", style: size });
      const lines = svg("svg", { class: "lines", style: size, preserveAspectRatio: "none", "aria-hidden": "true" });
      const words = el("span", { class: "words", style: size });
      return { ...tile, base, lines, words };
    });
    this.element = el("span", { class: "strip" }, ...this.tiles.map(({ base }) => base), this.canvas,
      ...this.tiles.flatMap(({ lines, words }) => [flat ? null : lines, words]));
    const shape = tiles[0].run.probe.pictures ?? { width: 1, height: 1 };
    this.element.style.aspectRatio = `${(whole / 12) * shape.width} / ${shape.height}`;
  }

  paint() {
    const { state, model } = this.view;
    this.paintPictures();
    if (!this.flat) this.paintLines();
    this.canvas.hidden = state.mode === "picture" && !this.flat && this.least < 200;
    if (this.canvas.hidden) return;
    if (!this.surface) this.surface = new Surface(this.canvas, this.tiles.length, Math.max(this.least, this.finest()));
    this.tiles.forEach((tile, place) => {
      const method = tile.method ?? state.method;
      const now = model.map(this.shown(tile), method, this.image);
      let words;
      if (tile.other) {
        const before = model.map(tile.other.step ?? model.at(tile.other.run, state.step), method, this.image);
        words = paintChange(this.surface, place, before, now, this.largestChange(tile, method));
      } else words = paintMap(this.surface, place, now, model.scale(tile.run, method, this.image));
      if (tile.said === words) return;
      tile.said = words;
      say(tile.words, words);
      tile.words.classList.toggle("none", words !== "" && words !== "…");
    });
    this.surface.show();
  }

  /** The snapshot that a tile shows. */
  shown(tile) {
    return tile.step ?? this.view.model.at(tile.run, this.view.state.step);
  }

  /** Cells a side of the finest map, up to 128. */
  finest() {
    const maps = this.tiles.flatMap((tile) => Object.values(this.shown(tile).maps));
    return Math.min(128, Math.max(1, ...maps.flatMap(({ height, width }) => [height, width])));
  }

  paintPictures() {
    const { state, model } = this.view;
    const grey = state.grey && state.mode !== "picture";
    if (this.drawn === grey) return;
    for (const { run, base } of this.tiles) {
      const picture = model.picture(run.probe, this.image, grey);
      if (!picture) return;
      Object.assign(base.style, picture);
    }
    this.drawn = grey;
  }

  paintLines() {
    const { outlines } = this.view.state;
    if (outlines !== this.outlined)
      for (const { lines } of this.tiles) lines.style.display = outlines ? "" : "none";
    this.outlined = outlines;
    if (!outlines || this.traced) return;
    const { masks } = this.tiles[0].run.probe;
    const known = Object.values(masks).map((mask) => ({ mask, d: this.view.model.outline(mask, this.image) }));
    if (known.some(({ d }) => d === null)) return;
    for (const { lines } of this.tiles)
      known.forEach(({ mask, d }, i) => {
        lines.setAttribute("viewBox", `0 0 ${mask.width} ${mask.height}`);
        lines.append(svg("path", { d, class: "halo" }),
          svg("path", { d, class: `mask mask${i % 4}`, "stroke-dasharray": DASHES[i % DASHES.length] }));
      });
    this.traced = true;
  }

  /** The largest difference over all steps of a tile's run: one scale for all of them. */
  largestChange(tile, method) {
    const { model } = this.view;
    const known = `${method} ${tile.run.steps.length} ${model.arrived}`;
    if (tile.changeKnown !== known) {
      tile.changeKnown = known;
      tile.changeScale = 0;
      for (const step of tile.run.steps) {
        const before = tile.other.step ?? model.at(tile.other.run, step.step);
        const found = change(model.map(before, method, this.image), model.map(step, method, this.image));
        for (const cell of found ?? []) tile.changeScale = Math.max(tile.changeScale, Math.abs(cell));
      }
    }
    return tile.changeScale;
  }
}
