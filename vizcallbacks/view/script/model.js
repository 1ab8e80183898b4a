// The document with what is computed from it: steps of all runs, curves, scales, sheets of pictures, masks.

/** In place of a method: the map of the class that was predicted, where that is wrong. */
export const PREDICTED = "/predicted";

/** What a run shows at a step, and values of images there; `changed` is called when a part has arrived. */
export class Model {
  constructor(source, header, changed) {
    this.source = source;
    this.header = header;
    this.changed = changed;
    this.parts = new Map();
    this.largest = new Map();
    this.arrived = 0;
    this.runs = header.runs.map((run, place) => ({ ...run, place, probe: header.probes[run.probe] ?? null, probeAt: run.probe }));
  }

  /** Ascending step numbers of some runs, each with its words. */
  epochs(runs) {
    const words = new Map();
    for (const run of runs) for (const step of run.steps) if (!words.has(step.step)) words.set(step.step, step.when);
    return [...words].sort((a, b) => a[0] - b[0]).map(([step, when]) => ({ step, when }));
  }

  /** A run's snapshot at a step, else its last before that, else its first. */
  at(run, step) {
    let found = run.steps[0];
    for (const one of run.steps) if (one.step <= step) found = one;
    return found;
  }

  methods(runs) {
    return [...new Set(runs.flatMap((run) => run.steps.flatMap((step) => Object.keys(step.maps))))];
  }

  measures(runs) {
    return [...new Set(runs.flatMap((run) => run.steps.flatMap((step) => Object.keys(step.measures))))];
  }

  /** The bytes of a part; null while they are under way. */
  bytes(part) {
    const known = this.parts.get(part);
    if (known !== undefined) return known;
    const got = this.source.part(part);
    if (got instanceof Uint8Array) {
      this.parts.set(part, got);
      return got;
    }
    this.parts.set(part, null);
    got.then((bytes) => {
      this.parts.set(part, bytes);
      this.arrived += 1;
      this.changed();
    }).catch(() => this.parts.delete(part));
    return null;
  }

  /** One image's map: {cells, peak, height, width}; cells null while it is fetched, peak 0 dead, null undefined. */
  map(step, method, image) {
    const predicted = method === PREDICTED;
    const maps = predicted ? step.predicted : step.maps[method];
    const place = predicted ? maps?.images.indexOf(image) : image;
    if (!maps || place < 0) return null;
    const { height, width, signed, peaks } = maps;
    const bytes = this.bytes(maps.part);
    const size = height * width;
    const cells = bytes && new (signed ? Int8Array : Uint8Array)(bytes.buffer, bytes.byteOffset + place * size, size);
    return { cells, peak: peaks[place], height, width, top: signed ? 127 : 255 };
  }

  /** How alike the patches around the maxima are: {value, chance, count} by class, and of all by "all"; null where that
   * is not known, or under way. */
  sameness(step, method) {
    const part = step.maps[method]?.sameness;
    const bytes = part === undefined ? null : this.bytes(part);
    if (!bytes) return null;
    const numbers = new Float32Array(bytes.slice().buffer);
    const found = new Map();
    for (let i = 0; i < numbers.length; i += 4) {
      const [number, value, chance, count] = numbers.subarray(i, i + 4);
      found.set(Number.isNaN(number) ? "all" : number, { value, chance, count });
    }
    return found;
  }

  /** The largest magnitude of an image's maps over all of a run's steps: its one scale. */
  scale(run, method, image) {
    if (method === PREDICTED) { // comparable with that of the class which it should be
      const own = run.steps.map(({ predicted }) => predicted?.peaks[predicted.images.indexOf(image)] ?? 0);
      const other = run.steps.find((step) => step.predicted)?.predicted.method;
      return Math.max(...own, this.scale(run, other, image));
    }
    const key = `${run.place} ${method}`;
    if (!this.largest.has(key)) {
      const found = new Float64Array(run.probe.names.length);
      for (const step of run.steps)
        step.maps[method]?.peaks.forEach((peak, i) => { if (peak > found[i]) found[i] = peak; });
      this.largest.set(key, found);
    }
    return this.largest.get(key)[image];
  }

  value(step, measure, image) {
    return step.measures[measure]?.[image] ?? null;
  }

  /** 1 right, 0 wrong, null unknown. */
  right(run, step, image) {
    const labels = run.probe.labels;
    return !labels || step.predictions[image] < 0 ? null : Number(step.predictions[image] === labels[image]);
  }

  className(probe, number) {
    return number < 0 ? "" : probe.classes[number] ?? `class ${number}`;
  }

  /** The class that an image is filed under: its label, else what was explained. */
  classOf(run, image) {
    return run.probe.labels ? run.probe.labels[image] : run.steps.at(-1).targets[image];
  }

  /** Mean over the images (of some, or of all), null where none is defined. */
  mean(run, step, measure) {
    let sum = 0;
    let count = 0;
    for (let i = 0; i < run.probe.names.length; i++) {
      const value = measure === "accuracy" ? this.right(run, step, i) : this.value(step, measure, i);
      if (value !== null) { sum += value; count += 1; }
    }
    return count ? sum / count : null;
  }

  /** The sheet of pictures, {context, colour, grey} (the last two: addresses for CSS); null while it is made. */
  sheet(probe) {
    if (!probe.pictures) return null;
    if (probe.sheet === undefined) {
      probe.sheet = null;
      Promise.resolve(this.source.part(probe.pictures.part))
        .then(sheetOf)
        .then((sheet) => {
          probe.sheet = sheet;
          this.changed();
        })
        .catch(() => { probe.sheet = undefined; });
    }
    return probe.sheet;
  }

  /** CSS that shows one picture; null while the sheet is made. Each picture has a frame of one pixel, so that none
   * shows its neighbours. */
  picture(probe, image, grey) {
    const sheet = this.sheet(probe);
    if (!sheet) return null;
    const { height, width, columns, rows } = probe.pictures;
    const [x, y] = [image % columns, Math.floor(image / columns)];
    const place = (at, side, count) => {
      const whole = count * (side + 2);
      return whole === side ? 0 : (100 * (at * (side + 2) + 1)) / (whole - side);
    };
    return {
      backgroundImage: `url("${grey ? sheet.grey : sheet.colour}")`,
      backgroundSize: `${(100 * columns * (width + 2)) / width}% ${(100 * rows * (height + 2)) / height}%`,
      backgroundPosition: `${place(x, width, columns)}% ${place(y, height, rows)}%`,
    };
  }

  /** The outline of a mask as an SVG path in pixels of the mask; null while it is fetched. */
  outline(mask, image) {
    const bytes = this.bytes(mask.part);
    if (!bytes) return null;
    const { height, width } = mask;
    const row = Math.ceil((height * width) / 8);
    const set = (y, x) => {
      if (y < 0 || x < 0 || y >= height || x >= width) return 0;
      const place = y * width + x;
      return (bytes[image * row + (place >> 3)] >> (7 - (place & 7))) & 1;
    };
    const path = [];
    for (let y = 0; y <= height; y++)
      for (let x = 0, start = -1; x <= width; x++) {
        const edge = x < width && set(y - 1, x) !== set(y, x);
        if (edge && start < 0) start = x;
        if (!edge && start >= 0) { path.push(`M${start} ${y}H${x}`); start = -1; }
      }
    for (let x = 0; x <= width; x++)
      for (let y = 0, start = -1; y <= height; y++) {
        const edge = y < height && set(y, x - 1) !== set(y, x);
        if (edge && start < 0) start = y;
        if (!edge && start >= 0) { path.push(`M${x} ${start}V${y}`); start = -1; }
      }
    return path.join("");
  }
}

/** A sheet decoded: its pixels, and addresses of it in colour and grey. */
async function sheetOf(bytes) {
  const file = new Blob([bytes], { type: "image/webp" });
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const { data } = image;
  for (let i = 0; i < data.length; i += 4)
    data[i] = data[i + 1] = data[i + 2] = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
  const other = new OffscreenCanvas(bitmap.width, bitmap.height);
  other.getContext("2d").putImageData(image, 0, 0);
  const grey = await other.convertToBlob({ type: "image/webp", quality: 0.9 });
  return { context, colour: URL.createObjectURL(file), grey: URL.createObjectURL(grey) };
}
