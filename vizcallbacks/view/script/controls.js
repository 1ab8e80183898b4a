// The slider over all images with its play button, and the line of switches.

import { swatch } from "./card.js";
import { el, say } from "./dom.js";
import { orders } from "./grid.js";

const FRAME = 450; // ms from epoch to epoch while playing

export class Player {
  constructor(view) {
    this.view = view;
    this.button = el("button", { type: "button", class: "play", onclick: () => this.toggle() });
    this.slider = el("input", { type: "range", min: "0", step: "1", "aria-label": "epoch", oninput: () => view.go(Number(this.slider.value)) });
    this.label = el("output", { class: "epoch" });
    this.element = el("div", { class: "player" }, this.button, this.slider, this.label);
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.stop(); });
    this.stop();
  }

  toggle() {
    if (this.timer) this.stop();
    else {
      if (this.view.place === this.view.epochs.length - 1) this.view.go(0);
      this.timer = setInterval(() => {
        const { place, epochs } = this.view;
        if (place >= epochs.length - 1 || !this.element.offsetParent) this.stop(); // hidden: another tab of TensorBoard
        else this.view.go(place + 1);
      }, FRAME);
      this.show("❚❚", "pause");
    }
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.show("▶", "play");
  }

  show(sign, name) {
    this.button.textContent = sign;
    this.button.setAttribute("aria-label", name);
    this.button.title = `${name} (space)`;
  }

  paint() {
    const { epochs, place } = this.view;
    this.button.hidden = this.slider.hidden = epochs.length < 2; // a record of one moment, in a notebook
    this.slider.max = String(epochs.length - 1);
    this.slider.value = String(place);
    this.slider.setAttribute("aria-valuetext", epochs[place].when);
    this.slider.style.setProperty("--at", epochs.length > 1 ? place / (epochs.length - 1) : 1);
    say(this.label, epochs[place].when);
  }
}

/** The switches; each change goes to `view.set`. */
export class Controls {
  constructor(view) {
    this.view = view;
    this.line = el("div", { class: "line" });
    this.element = el("details", { class: "controls", open: !matchMedia("(max-width: 640px)").matches },
      el("summary", {}, "Options"), this.line);
  }

  fill() {
    const { view } = this;
    const { model, runs, state } = view;
    const methods = model.methods(runs);
    const probe = runs[0].probe;
    const classes = [...new Set(probe.names.map((_, i) => model.classOf(runs[0], i)))].sort((a, b) => a - b);
    const masks = Object.keys(probe.masks);
    const failing = probe.names.filter((_, i) => view.violation(i)).length;
    const images = state.tab === "images";
    const modes = [["maps", "Maps"]];
    if (runs.length > 1 || view.epochs.length > 1) modes.push(["difference", runs.length > 1 ? "Difference" : "Change since start"]);
    if (probe.pictures) modes.push(["picture", "Pictures"]);
    this.line.replaceChildren(...[
      probe.pictures && this.choice("tab", "view", [["images", "Images"], ["peaks", "Peaks"]]),
      images && modes.length > 1 ? this.choice("mode", "what is drawn", modes) : null,
      model.runs.length > 1 ? this.runs() : null,
      methods.length > 1 ? this.select("method", "method", methods.map((name) => [name, name])) : null,
      images && el("label", { class: "range" }, el("span", {}, "opacity"),
        el("input", { type: "range", min: "0", max: "100", value: String(state.opacity), oninput: (event) => view.set({ opacity: Number(event.target.value) }) })),
      images && probe.pictures ? this.check("grey", "grey pictures") : null,
      images && masks.length ? this.check("outlines", "outlines") : null,
      images && this.select("sort", "order", Object.entries(orders(view)).map(([name, { title }]) => [name, title])),
      images && classes.length > 1 ? this.select("class", "class", [["", "all classes"], ...classes.map((one) => [String(one), model.className(probe, one) || "unknown"])]) : null,
      images && failing ? this.check("failing", `failing only (${failing})`) : null,
      images && el("label", { class: "search" }, el("span", { class: "unseen" }, "search"),
        el("input", { type: "search", placeholder: "search names", value: state.search, oninput: (event) => view.set({ search: event.target.value }) })),
    ].filter(Boolean));
  }

  choice(name, label, options) {
    const { state } = this.view;
    const group = el("div", { class: "segments", role: "group", "aria-label": label });
    for (const [value, text] of options)
      group.append(el("button", { type: "button", "aria-pressed": String(state[name] === value), onclick: () => {
        for (const one of group.children) one.setAttribute("aria-pressed", String(one.textContent === text));
        this.view.set({ [name]: value });
        if (name === "tab") { this.fill(); this.line.querySelector(`[aria-pressed="true"]`).focus(); }
      } }, text));
    return group;
  }

  select(name, label, options) {
    const list = el("select", { onchange: () => this.view.set({ [name]: list.value }) },
      ...options.map(([value, text]) => el("option", { value, selected: String(this.view.state[name]) === value }, text)));
    return el("label", { class: "select" }, el("span", {}, label), list);
  }

  check(name, label) {
    const box = el("input", { type: "checkbox", checked: this.view.state[name], onchange: () => this.view.set({ [name]: box.checked }) });
    return el("label", { class: "check" }, box, el("span", {}, label));
  }

  /** Which runs are shown; those of another probe set cannot stand beside the chosen ones. */
  runs() {
    const { view } = this;
    const chosen = new Set(view.runs);
    const boxes = view.model.runs.map((run) => {
      const box = el("input", { type: "checkbox", checked: chosen.has(run), onchange: () => view.choose(run, box.checked) });
      return el("label", { class: "check" }, box, swatch(view, run), el("span", {}, run.name));
    });
    if (boxes.length <= 4) return el("div", { class: "runs", role: "group", "aria-label": "runs" }, ...boxes);
    return el("details", { class: "menu" }, el("summary", {}, `${chosen.size} of ${boxes.length} runs`), el("div", { class: "runs" }, ...boxes));
  }
}
