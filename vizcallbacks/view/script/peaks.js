// What does it look at? For each class, the patches of the pictures around the maxima of the maps.

import { el, say } from "./dom.js";
import { swatch } from "./card.js";

const MOST = 14;
const SIDE = 48; // px of a patch on the screen

/** Below which value of sameness patches are called how. The demo's biased nets have .38 to .43 over all classes, its
 * honest ones .92 to 1.01. */
const WORDS = [[0.55, "very alike"], [0.8, "fairly alike"], [Infinity, "varied"]];

export class Peaks {
  constructor(view) {
    this.view = view;
    this.element = el("section", { class: "peaks", "aria-label": "patches around the maxima" });
  }

  fill() {
    const { model, runs } = this.view;
    this.targets = this.targetsNow();
    this.rows = [];
    const columns = runs.map((run, place) => {
      const classes = new Map();
      run.probe.names.forEach((_, image) => {
        const target = this.targets[place][image];
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
        const [alike, dead] = [el("span", { class: "alike" }), el("span", { class: "dead" })];
        this.rows.push({ run, target, images, canvases, alike, dead });
        return el("div", { class: "row" }, el("span", { class: "class" }, model.className(run.probe, target) || "all"), strip,
          el("span", { class: "said" }, alike, dead));
      });
      const alike = el("p", { class: "alike" });
      this.rows.push({ run, target: "all", images: [], canvases: [], alike });
      return el("div", { class: "run" }, el("h2", {}, swatch(this.view, run), run.name), alike, ...rows);
    });
    this.element.replaceChildren(
      el("p", { class: "count" }, "Each patch is a third of the picture around the map’s maximum, by the class that was explained. " +
        "✗: the net predicts another class. Rows that look alike show what the net looks for."),
      el("details", { class: "reading", open: this.reading ?? !matchMedia("(max-width: 640px)").matches, ontoggle: (event) => { this.reading = event.target.open; } },
        el("summary", {}, "How to read sameness"),
        el("p", {}, "Sameness is the distance from a patch’s colours to those of the nearest patch of its class, divided by the distance to " +
          "the nearest of another class (medians). Near 0, a class’s patches show one thing; at 1, they are as close to other classes’. " +
          "By chance: what it would be if patches were grouped at random."),
        el("p", {}, "It is a hint where to look, no verdict: patches may be alike because the net looks at a tag or a watermark, or because " +
          "bananas are yellow.")),
      el("div", { class: "columns" }, ...columns));
  }

  /** What each run explains now, image by image. */
  targetsNow() {
    const { model, runs, state } = this.view;
    return runs.map((run) => model.at(run, state.step).targets);
  }

  paint() {
    const { model, state } = this.view;
    if (String(this.targetsNow()) !== String(this.targets)) this.fill(); // each image by its predicted class
    for (const { run, target, images, canvases, alike, dead } of this.rows) {
      const step = model.at(run, state.step);
      for (const { image, canvas, button } of canvases) {
        const place = peak(model.map(step, state.method, image));
        const wrong = model.right(run, step, image) === 0;
        button.hidden = !place;
        if (!place) continue;
        const sheet = model.sheet(run.probe);
        if (sheet) paintPatch(canvas, sheet.context, run.probe.pictures, image, place);
        button.classList.toggle("wrong", wrong);
        button.setAttribute("aria-label", `${run.probe.names[image]}${wrong ? ", predicted wrong" : ""}`);
      }
      sayAlike(alike, model.sameness(step, state.method)?.get(target), target === "all");
      if (!dead) continue;
      const missing = images.filter((image) => !peak(model.map(step, state.method, image))).length;
      say(dead, missing ? `${missing} without a maximum` : "");
    }
  }
}

/** Sameness in numbers and words; nothing where it is not known. */
function sayAlike(element, found, whole) {
  if (!found || Number.isNaN(found.value)) return say(element, found && whole ? "Sameness is undefined: it needs two classes." : "");
  const [value, chance] = [found.value, found.chance].map((one) => (Number.isNaN(one) ? "undefined" : one.toFixed(2)));
  const [, word] = WORDS.find(([below]) => Number(value) < below);
  const known = `${value} ${chance}`;
  if (element.dataset.known === known) return undefined;
  element.dataset.known = known;
  element.replaceChildren(...(whole
    ? ["Sameness over all classes: ", el("b", {}, value), `, by chance ${chance}: ${word}`]
    : [el("b", {}, value), ` ${word}`, el("span", { class: "chance" }, `by chance ${chance}`)]));
  return undefined;
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
