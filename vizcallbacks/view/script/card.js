// A card of the grid: an image, with a tile for each run shown, what was predicted, and where the map lies.

import { el, number, percent, say } from "./dom.js";
import { Tile } from "./tile.js";

/** The sample of a run's line, in the colour and the dashes of its curves. */
export function swatch(view, run) {
  return el("i", { class: `swatch run${view.colour(run)}`, "aria-hidden": "true" });
}

/** What a run predicts for an image at a step, in words. */
export function seen(model, run, step, image) {
  const right = model.right(run, step, image);
  const name = model.className(run.probe, step.predictions[image]);
  const mark = right === null ? "" : right ? "✓ " : "✗ ";
  return name ? `${mark}${name} ${percent(step.confidence[image])}` : "";
}

export class Card {
  constructor(view, image) {
    Object.assign(this, { view, image });
    const { model, runs } = view;
    const probe = runs[0].probe;
    const pair = view.pair();
    const difference = view.state.mode === "difference";
    this.parts = runs.map((run) => {
      const tile = difference ? null : new Tile(view, image, run);
      const said = el("span", { class: "seen" });
      const masks = Object.keys(probe.masks).filter((mask) => model.measures([run]).includes(`energy/${mask}`)).slice(0, 3)
        .map((mask) => {
          const value = el("b");
          const bar = el("i");
          return { mask, value, bar, row: el("span", { class: "energy" }, el("span", {}, mask), bar, value) };
        });
      const name = el("span", { class: "run" }, swatch(view, run), el("span", {}, run.name));
      const element = el("div", { class: "of" }, tile?.element, runs.length > 1 ? name : null, said, ...masks.map(({ row }) => row));
      return { run, tile, said, masks, element };
    });
    this.change = difference && pair ? new Tile(view, image, pair.now, { other: pair.before }) : null;
    const violation = view.violation(image);
    const label = model.className(probe, model.classOf(runs[0], image));
    this.element = el("button",
      { class: violation ? "card failing" : "card", type: "button", tabindex: "-1", "data-image": image,
        onclick: () => view.open(image) },
      el("span", { class: "title" }, el("b", {}, probe.names[image]), el("span", { class: "class" }, label)),
      this.change?.element,
      el("span", { class: "parts", style: `--runs:${runs.length}` }, ...this.parts.map((part) => part.element)),
      violation ? el("span", { class: "violation" }, `✗ fails: ${violation}`) : null);
  }

  paint() {
    const { model, state } = this.view;
    this.change?.paint();
    for (const { run, tile, said, masks } of this.parts) {
      const step = model.at(run, state.step);
      tile?.paint();
      say(said, seen(model, run, step, this.image) + (step.step === state.step ? "" : ` (${step.when})`));
      for (const { mask, value, bar } of masks) {
        const share = model.value(step, `energy/${mask}`, this.image);
        say(value, share === null ? "–" : number(share));
        bar.style.setProperty("--share", share ?? 0);
      }
    }
  }
}
