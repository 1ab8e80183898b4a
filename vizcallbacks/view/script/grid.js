// The cards: which images, in which order, drawn only where they are visible.

import { Card } from "./card.js";
import { el } from "./dom.js";

const FIRST = 24;
const PAUSE = 100; // ms
const AT_ONCE = 10; // cards whose words are set in one frame
const AT_STEP = 6; // the same, of a frame that has maps to draw as well
const NARROW = 14; // letters in a line; with fewer, shares have two decimals
const LETTER = 6.6; // px, of a card's small text, on average

/** The orders offered: name -> {title, value(view, image)} with the largest value first; null last. */
export function orders(view) {
  const { model, runs } = view;
  const [first] = runs;
  const judged = runs.find((run) => run.verdict);
  const place = judged ? new Map(judged.verdict.order.map((image, i) => [image, -i])) : null;
  const now = (run) => model.at(run, view.state.step);
  const found = {};
  if (place) found.worst = { title: "worst first (excess over the bound)", value: (image) => place.get(image) ?? null };
  else if (runs.length < 2) found.worst = { title: "as in the probe set", value: () => 0 };
  if (runs.length > 1) {
    const pair = view.pair();
    const method = view.state.method;
    const difference = (image) => {
      let most = null;
      for (const name of model.measures(runs).filter((measure) => measure.startsWith("energy/"))) {
        const [a, b] = [pair.before, pair.now].map((one) => model.value(one.step ?? now(one.run ?? one), name, image));
        if (a !== null && b !== null) most = Math.max(most ?? 0, Math.abs(a - b));
      }
      return most;
    };
    if (!place) found.worst = { title: method && Object.keys(first.probe.masks).length ? "largest difference first" : "as in the probe set", value: difference };
    found.probe = { title: "as in the probe set", value: () => 0 };
  } else if (place) found.probe = { title: "as in the probe set", value: () => 0 };
  const measures = model.measures(runs);
  if (measures.includes("drift"))
    found.drift = { title: "changed most since the snapshot before (drift)", value: (image) => negated(least(runs.map((run) => model.value(now(run), "drift", image)))) };
  for (const name of measures.filter((measure) => measure.startsWith("energy/"))) {
    const mask = name.slice(7);
    const of = (image) => model.value(now((judged ?? first)), name, image);
    found[`most ${mask}`] = { title: `most on ${mask}`, value: of };
    found[`least ${mask}`] = { title: `least on ${mask}`, value: (image) => negated(of(image)) };
  }
  found.unsure = { title: "least probable first", value: (image) => negated(least(runs.map((run) => model.value(now(run), "probability", image)))) };
  return found;
}

const negated = (value) => (value === null ? null : -value);

function least(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? Math.min(...known) : null;
}

export class Grid {
  constructor(view) {
    this.view = view;
    this.cards = new Map();
    this.visible = new Set();
    this.unsaid = new Set();
    this.letters = 16;
    this.narrow = false;
    this.label = 6;
    this.limit = FIRST;
    this.count = el("p", { class: "count", role: "status" });
    this.cells = el("div", { class: "cards" });
    this.more = el("button", { class: "more", type: "button", onclick: () => { this.limit += 2 * FIRST; this.fill(); } });
    this.element = el("section", { class: "grid", "aria-label": "probe images" }, this.count, this.cells, this.more);
    this.watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const card = this.cards.get(Number(entry.target.dataset.image));
        if (!card) continue;
        if (entry.isIntersecting) { this.visible.add(card); card.paint(); card.say(); } else this.visible.delete(card);
      }
    }, { rootMargin: "120px" });
    new ResizeObserver(() => this.fit()).observe(this.cells);
    this.cells.addEventListener("keydown", (event) => this.move(event));
    this.cells.addEventListener("focusin", (event) => this.rove(event.target.closest(".card")));
  }

  /** The images that pass the filters, in order. */
  images() {
    const { model, runs, state } = this.view;
    const probe = runs[0].probe;
    const words = state.search.trim().toLowerCase();
    const chosen = probe.names.map((_, i) => i).filter((i) =>
      (!state.failing || this.view.violation(i)) &&
      (state.class === "" || String(model.classOf(runs[0], i)) === state.class) &&
      (!words || `${probe.names[i]} ${model.className(probe, model.classOf(runs[0], i))}`.toLowerCase().includes(words)));
    const offered = orders(this.view);
    const { value } = offered[state.sort] ?? offered.worst;
    const values = new Map(chosen.map((i) => [i, value(i) ?? -Infinity]));
    return chosen.sort((a, b) => values.get(b) - values.get(a) || a - b);
  }

  /** Make the cards anew: another order, filter or set of runs. */
  fill() {
    const images = this.images();
    const total = this.view.runs[0].probe.names.length;
    this.order = images;
    const focused = this.cells.contains(document.activeElement) ? Number(document.activeElement.dataset.image) : null;
    this.watcher.disconnect();
    this.visible.clear();
    this.unsaid.clear();
    this.cards = new Map(images.slice(0, this.limit).map((image) => [image, new Card(this.view, image)]));
    this.cells.replaceChildren(...[...this.cards.values()].map((card) => card.element));
    this.fit();
    for (const card of this.cards.values()) this.watcher.observe(card.element);
    this.count.textContent = images.length === total ? `${total} images` : `${images.length} of ${total} images`;
    if (!images.length) this.count.textContent += ": nothing matches; clear the search or the filters";
    if (this.view.state.mode === "difference") this.count.textContent += ` · ${this.view.differenceLegend()}`;
    const left = images.length - this.cards.size;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(left, 2 * FIRST)} more of ${left}`;
    this.rove(this.cards.get(focused)?.element ?? this.cells.firstElementChild);
    if (focused !== null) this.cards.get(focused)?.element.focus();
  }

  /** Maps at once. Words and numbers cost the browser most: those of a few cards now, so that a long drag leaves none
   * far behind, and the rest once the step rests. */
  paint() {
    for (const card of this.visible) {
      card.paint();
      this.unsaid.add(card);
    }
    this.sayNext(AT_STEP);
    clearTimeout(this.resting);
    cancelAnimationFrame(this.speaking);
    this.resting = setTimeout(() => this.speak(), PAUSE);
  }

  /** The words of all cards that wait, some in each frame. */
  speak() {
    this.sayNext(AT_ONCE);
    if (this.unsaid.size) this.speaking = requestAnimationFrame(() => this.speak());
  }

  /** The words of so many cards: those that have waited longest. */
  sayNext(count) {
    for (const card of [...this.unsaid].slice(0, count)) {
      this.unsaid.delete(card);
      if (this.visible.has(card)) card.say();
    }
  }

  /** How many letters stand in a line of a card's column, anew where the window's width changed. */
  fit() {
    const width = this.cells.querySelector(".of")?.clientWidth;
    const letters = width ? Math.max(8, Math.floor(width / LETTER)) : this.letters;
    if (letters === this.letters && this.fitted === this.view.runs) return;
    this.fitted = this.view.runs;
    this.letters = letters;
    const longest = Math.max(...this.view.runs.flatMap((run) => Object.keys(run.probe.masks)).map((mask) => mask.length), 3);
    this.narrow = letters < NARROW;
    this.label = Math.min(longest, Math.max(3, letters - (this.narrow ? 5 : 6)));
    this.cells.style.setProperty("--label", this.label);
    for (const card of this.visible) card.say();
  }

  /** One card alone can be reached by Tab. */
  rove(card) {
    if (!card) return;
    if (this.roving) this.roving.tabIndex = -1;
    card.tabIndex = 0;
    this.roving = card;
  }

  move(event) {
    const here = event.target.closest(".card");
    const columns = getComputedStyle(this.cells).gridTemplateColumns.split(" ").length;
    const by = { ArrowDown: columns, ArrowUp: -columns, j: 1, k: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!here || by === undefined) return;
    const all = [...this.cells.children];
    const place = Math.min(all.length - 1, Math.max(0, all.indexOf(here) + by));
    event.preventDefault();
    event.stopPropagation();
    all[place].focus();
  }
}
