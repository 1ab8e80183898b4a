// What does it look at? For each class, the patches of the pictures around the maxima of the maps.

import { el } from "./dom.js";
import { swatch } from "./card.js";

const MOST = 14;
const SIDE = 48; // px of a patch on the screen

export class Peaks {
  constructor(view) {
    this.view = view;
    this.element = el("section", { class: "peaks", "aria-label": "patches around the maxima" });
  }

  fill() {
    const { model, runs } = this.view;
    this.rows = [];
    const columns = runs.map((run) => {
      const classes = new Map();
      run.probe.names.forEach((_, image) => {
        const target = model.at(run, this.view.state.step).targets[image];
        classes.set(target, [...(classes.get(target) ?? []), image]);
      });
      const rows = [...classes].sort((a, b) => a[0] - b[0]).map(([target, images]) => {
        const strip = el("div", { class: "patches" });
        const canvases = images.slice(0, MOST).map((image) => {
          const canvas = el("canvas", { width: SIDE, height: SIDE });
          const button = el("button", { type: "button", class: "patch", onclick: () => this.view.open(image) }, canvas);
          strip.append(button);
          return { image, canvas, button };
        });
        const dead = el("span", { class: "dead" });
        this.rows.push({ run, canvases, dead });
        return el("div", { class: "row" }, el("span", { class: "class" }, model.className(run.probe, target) || "all"), strip, dead);
      });
      return el("div", { class: "run" }, el("h2", {}, swatch(this.view, run), run.name), ...rows);
    });
    this.element.replaceChildren(
      el("p", { class: "count" }, "Each patch is a third of the picture around the map’s maximum, by the class that was explained. " +
        "✗: the net predicts another class. Rows that look alike show what the net looks for."),
      el("div", { class: "columns" }, ...columns));
  }

  paint() {
    const { model, state } = this.view;
    for (const { run, canvases, dead } of this.rows) {
      const step = model.at(run, state.step);
      let missing = 0;
      for (const { image, canvas, button } of canvases) {
        const place = peak(model.map(step, state.method, image));
        const wrong = model.right(run, step, image) === 0;
        button.hidden = !place;
        if (!place) { missing += 1; continue; }
        const sheet = model.sheet(run.probe);
        if (sheet) paintPatch(canvas, sheet.context, run.probe.pictures, image, place);
        button.classList.toggle("wrong", wrong);
        button.setAttribute("aria-label", `${run.probe.names[image]}${wrong ? ", predicted wrong" : ""}`);
      }
      dead.textContent = missing ? `${missing} without a maximum` : "";
    }
  }
}

/** Where a map is highest, as shares of its height and width; null for a map without one. */
function peak(map) {
  if (!map?.cells || !map.peak) return null;
  let best = 0;
  for (let i = 1; i < map.cells.length; i++) if (map.cells[i] > map.cells[best]) best = i;
  return map.cells[best] > 0 ? [(Math.floor(best / map.width) + 0.5) / map.height, ((best % map.width) + 0.5) / map.width] : null;
}

/** A third of the picture around a place; beyond the picture its edge goes on. */
function paintPatch(canvas, context, { height, width, columns }, image, [down, across]) {
  const side = Math.max(2, Math.round(Math.max(height, width) / 3));
  const [top, left] = [Math.round(down * height - side / 2), Math.round(across * width - side / 2)];
  const [row, column] = [Math.floor(image / columns) * (height + 2) + 1, (image % columns) * (width + 2) + 1];
  const to = canvas.getContext("2d");
  const [y0, x0] = [Math.max(0, top), Math.max(0, left)];
  const [y1, x1] = [Math.min(height, top + side), Math.min(width, left + side)];
  const pixels = context.getImageData(column + x0, row + y0, x1 - x0, y1 - y0);
  const patch = new ImageData(side, side);
  const [from, into] = [new Uint32Array(pixels.data.buffer), new Uint32Array(patch.data.buffer)];
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const sy = Math.min(y1 - 1, Math.max(y0, top + y)) - y0;
      const sx = Math.min(x1 - 1, Math.max(x0, left + x)) - x0;
      into[y * side + x] = from[sy * (x1 - x0) + sx];
    }
  canvas.width = side;
  canvas.height = side;
  to.putImageData(patch, 0, 0);
}
