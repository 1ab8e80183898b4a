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

/** The page's own address. */
const OWN = {
  read: () => location.hash.slice(1),
  write: (text) => history.replaceState(null, "", `#${text}`),
};

/** The address of TensorBoard's window around the tab; what stands behind the tab's name is left to the tab. */
const AROUND = {
  read: () => new URLSearchParams(parent.location.hash.slice(1)).get("view") ?? "",
  write: (text) => {
    if (/^#attention(&|$)/.test(parent.location.hash))
      parent.history.replaceState(parent.history.state, "", `#attention${text && `&view=${encodeURIComponent(text)}`}`);
  },
};

export class State {
  constructor(inFrame = false) {
    this.address = inFrame ? AROUND : OWN;
    Object.assign(this, DEFAULTS);
    this.usual = { ...DEFAULTS };
    const given = new URLSearchParams(this.address.read());
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
      for (const [name, usual] of Object.entries(this.usual)) {
        const value = this[name];
        if (value === usual || value === null) continue;
        if (name === "runs") value.forEach((run) => kept.append("runs", run));
        else kept.set(name, typeof value === "boolean" ? Number(value) : value);
      }
      try {
        this.address.write(String(kept));
      } catch { /* a sandboxed frame has no address */ }
    }, 150);
  }
}
