// A card of the grid: an image, with a tile for each run shown, what was predicted, and where the map lies.

import { el, number, percent, say, shortened } from "./dom.js";
import { Strip } from "./tile.js";

/** The sample of a run's line, in the colour and the dashes of its curves. */
export function swatch(view, run) {
  return el("i", { class: `swatch run${view.colour(run)}`, "aria-hidden": "true" });
}

/** What a run predicts for an image at a step, in words; where `most` letters are not enough, without the percentage. */
export function seen(model, run, step, image, most = Infinity) {
  const right = model.right(run, step, image);
  const name = model.className(run.probe, step.predictions[image]);
  const mark = right === null ? "" : right ? "✓ " : "✗ ";
  const sure = percent(step.confidence[image]);
  if (!name) return "";
  const whole = `${mark}${name} ${sure}`;
  return whole.length <= most ? whole : mark + shortened(name, most - mark.length);
}

export class Card {
  constructor(view, image) {
    Object.assign(this, { view, image });
    const { model, runs } = view;
    const probe = runs[0].probe;
    const { before, now } = view.pair();
    const shown = view.state.mode === "difference" ? [{ run: now, other: before }] : runs.map((run) => ({ run }));
    this.strip = new Strip(view, image, shown);
    this.parts = runs.map((run) => {
      const said = el("span", { class: "seen" });
      const masks = Object.keys(probe.masks).filter((mask) => model.measures([run]).includes(`energy/${mask}`)).slice(0, 3)
        .map((mask) => {
          const value = el("b");
          const bar = el("i");
          const name = el("span", { title: mask });
          return { mask, name, value, bar, row: el("span", { class: "energy" }, name, bar, value) };
        });
      const called = el("span", { title: run.name });
      const name = el("span", { class: "run" }, swatch(view, run), called);
      const element = el("div", { class: "of" }, runs.length > 1 ? name : null, said, ...masks.map(({ row }) => row));
      return { run, called, said, masks, element };
    });
    const violation = view.violation(image);
    const label = model.className(probe, model.classOf(runs[0], image));
    this.element = el("button",
      { class: violation ? "card failing" : "card", type: "button", tabindex: "-1", "data-image": image,
        onclick: () => view.open(image) },
      el("span", { class: "title" }, el("b", {}, probe.names[image]), el("span", { class: "class" }, label)),
      this.strip.element,
      el("span", { class: "parts", style: `--runs:${runs.length}` }, ...this.parts.map((part) => part.element)),
      violation ? el("span", { class: "violation" }, `✗ fails: ${violation}`) : null);
  }

  paint() {
    this.strip.paint();
  }

  /** The words and numbers. */
  say() {
    const { model, state, grid: { letters } } = this.view;
    for (const { run, called, said, masks } of this.parts) {
      const step = model.at(run, state.step);
      say(called, shortened(run.name, letters - 4));
      say(said, step.step === state.step ? seen(model, run, step, this.image, letters) : shortened(`(${step.when})`, letters));
      for (const { mask, name, value, bar } of masks) {
        say(name, shortened(mask, this.view.grid.label));
        const share = model.value(step, `energy/${mask}`, this.image);
        say(value, share === null ? "–" : this.view.grid.narrow ? share.toFixed(2) : number(share));
        bar.style.backgroundSize = `${Math.round(100 * (share ?? 0))}% 100%`;
      }
    }
  }
}
