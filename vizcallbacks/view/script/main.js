// The view: holds the state, and tells the parts what to draw anew.

import { meanCharts, reachable } from "./charts.js";
import { Controls, Player } from "./controls.js";
import { Detail } from "./detail.js";
import { el, say } from "./dom.js";
import { setOpacity } from "./draw.js";
import { Grid } from "./grid.js";
import { Model } from "./model.js";
import { Peaks } from "./peaks.js";
import { Packed, Server } from "./source.js";
import { State } from "./state.js";
import { verdictsOf } from "./verdict.js";

const POLL = 10_000; // ms between questions to a server for new snapshots

class View {
  /** `ask()`: fetch the runs chosen of which only the names are here. */
  constructor(root, source, header, ask = null) {
    this.root = root;
    this.ask = ask;
    this.source = source;
    this.state = new State(source.live);
    setOpacity(this.state.opacity / 100);
    this.player = new Player(this);
    this.controls = new Controls(this);
    this.grid = new Grid(this);
    this.peaks = new Peaks(this);
    this.detail = new Detail(this);
    this.charts = [];
    this.chartBox = el("div", { class: "charts", role: "group", "aria-label": "means over all images" });
    this.notes = el("ul", { class: "notes" });
    this.verdicts = source.live ? el("header", { class: "verdict" }) : null; // a page has its own
    root.replaceChildren(...this.heading(), el("div", { class: "bar" }, this.player.element), this.controls.element, this.chartBox, this.notes,
      this.grid.element, this.peaks.element, this.detail.element);
    new ResizeObserver(() => reachable(this.chartBox)).observe(this.chartBox);
    document.addEventListener("keydown", (event) => this.key(event));
    this.take(header);
    if (this.state.image !== null && this.state.image < this.runs[0].probe.names.length) this.open(this.state.image);
  }

  /** A new document: the first, or one with more snapshots. */
  take(header) {
    const atEnd = !this.epochs || this.place === this.epochs.length - 1;
    const parts = this.model?.parts;
    this.model = new Model(this.source, header, () => this.later());
    if (parts) this.model.parts = parts;
    this.notes.replaceChildren(...this.model.runs.flatMap((run) => run.notes.map((note) => el("li", {}, `${run.name}: ${note}`))));
    if (this.epochs && atEnd) this.state.step = null;
    this.chooseRuns();
    this.fill();
  }

  chooseRuns() {
    const { model, state } = this;
    const whole = model.runs.filter((run) => run.steps.length);
    let chosen = whole.filter((run) => state.runs?.includes(run.name));
    if (!chosen.length) chosen = whole;
    chosen = chosen.filter((run) => run.probeAt === chosen[0].probeAt);
    this.runs = state.runs ? chosen : chosen.slice(0, 2);
    this.epochs = model.epochs(this.runs);
    const methods = model.methods(this.runs);
    if (!methods.includes(state.method)) state.method = methods[0] ?? null;
    const known = this.epochs.findLastIndex(({ step }) => state.step !== null && step <= state.step);
    this.place = state.step === null ? this.epochs.length - 1 : Math.max(0, known);
    state.step = this.epochs[this.place].step;
    state.usual.method = methods[0] ?? null;
    state.usual.step = this.epochs.at(-1).step;
  }

  choose(run, shown) {
    let chosen = shown ? [...this.runs, run] : this.runs.filter((one) => one !== run);
    if (!chosen.length) chosen = [run];
    if (shown && run.steps.length && run.probeAt !== this.runs[0].probeAt) chosen = [run]; // of other images
    this.state.runs = this.model.runs.filter((one) => chosen.includes(one)).map((one) => one.name);
    this.state.keep();
    if (!run.steps.length) return this.ask(); // only its name is here yet
    this.chooseRuns();
    this.fill();
  }

  /** Everything anew. */
  fill() {
    this.controls.fill();
    this.tell();
    this.charts = meanCharts(this, this.runs);
    this.chartBox.replaceChildren(...this.charts.map((chart) => chart.element));
    reachable(this.chartBox);
    this.grid.limit = Math.max(this.grid.limit, 24);
    this.fillImages();
  }

  /** What stands on top where the page has no verdict of its own. */
  heading() {
    return this.verdicts ? [el("h1", { class: "unseen" }, "Attention"), this.verdicts] : [];
  }

  /** What checks of the runs found; drawn anew only where that changed, so that an opened table stays open. */
  tell() {
    const known = JSON.stringify(this.runs.map(({ name, verdict }) => [name, verdict]));
    if (!this.verdicts || this.told === known) return;
    this.told = known;
    this.verdicts.replaceChildren(...verdictsOf(this.runs));
    this.verdicts.hidden = !this.runs.some((run) => run.verdict);
  }

  fillImages() {
    const peaks = this.state.tab === "peaks";
    this.grid.element.hidden = peaks;
    this.peaks.element.hidden = !peaks;
    if (peaks) this.peaks.fill(); else this.grid.fill();
    this.root.style.setProperty("--count", this.state.mode === "difference" ? Math.max(1, 0.85 * this.runs.length) : this.runs.length);
    this.paint();
    if (this.detail.element.open) this.detail.open(this.detail.image, this.detail.order);
  }

  /** What a step changes. */
  paint() {
    this.player.paint();
    for (const chart of this.charts) chart.paint();
    if (this.state.tab === "peaks") this.peaks.paint(); else this.grid.paint();
    if (this.detail.element.open) this.detail.paint();
  }

  /** Parts have arrived: paint once for all that came in this frame. */
  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = null;
      this.paint();
      if (this.detail.element.open) this.detail.paint(true);
    });
  }

  /** Go to a place among the epochs. */
  go(place) {
    const next = Math.min(this.epochs.length - 1, Math.max(0, place));
    if (next === this.place) return;
    this.place = next;
    this.state.step = this.epochs[next].step;
    this.state.keep();
    this.paint();
  }

  set(change) {
    Object.assign(this.state, change);
    this.state.keep();
    if ("opacity" in change) setOpacity(this.state.opacity / 100);
    if ("opacity" in change || "grey" in change || "outlines" in change) this.later();
    else this.fillImages();
  }

  open(image) {
    this.state.image = image;
    this.state.keep();
    this.detail.open(image, this.grid.order ?? this.grid.images());
  }

  closed() {
    const card = this.grid.cards.get(this.detail.image);
    this.state.image = null;
    this.state.keep();
    card?.element.focus();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const inField = event.target.closest("input, select, textarea");
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && !inField) {
      event.preventDefault();
      this.go(this.place + by);
    } else if (event.key === " " && !inField && !event.target.closest("button, summary")) {
      event.preventDefault();
      this.player.toggle();
    } else if (this.detail.element.open && !inField && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      this.detail.walk(event.key === "ArrowUp" ? -1 : 1);
    }
  }

  /** What is subtracted: of two runs the one that passed from the one that failed, else the first from the second; of
   * one run its first snapshot from now. */
  pair() {
    const failed = (run) => Number(run.verdict?.passed === false);
    const [first, second] = this.runs.slice(0, 2).sort((a, b) => failed(a) - failed(b));
    return second ? { before: { run: first }, now: second } : { before: { run: first, step: first.steps[0] }, now: first };
  }

  differenceName() {
    const { before, now } = this.pair();
    return before.step ? `now minus ${before.step.when}` : `${now.name} minus ${before.run.name}`;
  }

  /** What the colours of a difference mean. */
  differenceLegend() {
    const { before, now } = this.pair();
    return `red: more in ${before.step ? "the map now" : now.name}, blue: more in ${before.step ? before.step.when : before.run.name}`;
  }

  colour(run) {
    return this.model.runs.indexOf(run) % 6;
  }

  /** What an image violates by itself in the runs shown, in words; "" for nothing. */
  violation(image) {
    const judged = this.runs.filter((run) => run.verdict?.violations[image]);
    return judged.map((run) => (this.runs.length > 1 ? `${run.name}: ` : "") + run.verdict.violations[image]).join("; ");
  }
}

/** Show the document packed into this page. */
export async function showPacked(text) {
  const root = document.getElementById("view");
  for (const rules of document.querySelectorAll(".verdict details")) rules.open = false; // open for who has no scripts
  const source = await Packed.open(text);
  new View(root, source, source.header);
  document.documentElement.classList.add("running");
}

/** Show what a TensorBoard server has, and go on while a training writes. */
export async function showServer(root) {
  const source = new Server();
  const message = el("p", { class: "message", role: "status" }, "Reading the runs …");
  root.replaceChildren(message);
  let view = null;
  const look = async () => {
    try {
      source.asked = (view?.state ?? new State(true)).runs ?? [];
      const header = await source.read();
      if (header?.runs.some((run) => run.steps.length)) {
        if (view) view.take(header);
        else view = new View(root, source, header, look);
        document.documentElement.classList.add("running");
      } else if (header) say(message, header.message);
    } catch (error) {
      if (!view) say(message, `The runs cannot be read: ${error.message}`);
    }
  };
  await look();
  setInterval(() => { if (!document.hidden && root.offsetParent !== null) look(); }, POLL);
}
