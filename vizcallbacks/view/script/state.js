// What is shown now, kept in the address's fragment, so that a view can be sent to a colleague.

const DEFAULTS = {
  step: null, // the newest
  runs: null, // the first two of the first probe set
  tab: "images",
  method: null, // the first
  mode: "maps",
  grey: true,
  opacity: 90,
  outlines: false,
  sort: "worst",
  failing: false,
  class: "",
  search: "",
  image: null,
};

export class State {
  constructor() {
    Object.assign(this, DEFAULTS);
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(DEFAULTS)) {
      const text = given.get(name);
      if (text === null) continue;
      const wanted = { step: Number, image: Number, opacity: Number, grey: Boolean, failing: Boolean, outlines: Boolean }[name];
      if (wanted === Number) { if (Number.isFinite(Number(text))) this[name] = Number(text); }
      else if (wanted === Boolean) this[name] = text === "1";
      else this[name] = name === "runs" ? given.getAll("runs") : text;
    }
    this.opacity = Math.min(100, Math.max(0, this.opacity));
  }

  /** Write what differs from the defaults; later, since browsers limit how often an address may change. */
  keep() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const kept = new URLSearchParams();
      for (const [name, usual] of Object.entries(DEFAULTS)) {
        const value = this[name];
        if (value === usual || value === null) continue;
        if (name === "runs") value.forEach((run) => kept.append("runs", run));
        else kept.set(name, typeof value === "boolean" ? Number(value) : value);
      }
      try {
        history.replaceState(null, "", `#${kept}`);
      } catch { /* a sandboxed frame has no address of its own */ }
    }, 150);
  }
}
