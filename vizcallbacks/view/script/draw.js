// Maps as pixels: values are interpolated first, then coloured; the browser only enlarges the result.

const INFERNO =
  "000004,0b0724,210c4a,3d0965,57106e,71196e,8a226a,a32c61,bc3754,d04545,e35933,f1711f,f98c0a,fcaa0f,f9c932,f2e865,fcffa4".split(",");
const COLOURS = { heat: [inferno, 0.7], more: [() => [206, 24, 36], 0.5], less: [() => [24, 90, 214], 0.5] };
const TABLES = {};
const GRIDS = new Map();

/** Make the tables of 256 colours, as the 32-bit words of a canvas; alpha rises with the value up to `opacity`. */
export function setOpacity(opacity) {
  for (const [name, [colourOf, power]] of Object.entries(COLOURS)) {
    TABLES[name] = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const [red, green, blue] = colourOf(i / 255);
      const alpha = Math.round(255 * opacity * (i / 255) ** power);
      TABLES[name][i] = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    }
  }
}

function inferno(value) {
  const place = value * 16;
  const first = Math.min(15, Math.floor(place));
  const share = place - first;
  return [0, 2, 4].map((at) => {
    const [low, high] = [INFERNO[first], INFERNO[first + 1]].map((text) => parseInt(text.slice(at, at + 2), 16));
    return Math.round(low + share * (high - low));
  });
}

/** A canvas with `count` squares side by side, `GAP` apart: each canvas costs the browser a layer, so that tiles
 * which stand together share one. */
export class Surface {
  constructor(canvas, count, side) {
    Object.assign(this, { canvas, side });
    this.pitch = side + Surface.gap(side);
    canvas.width = this.pitch * count - Surface.gap(side);
    canvas.height = side;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.image = this.context.createImageData(canvas.width, side);
    this.words = new Uint32Array(this.image.data.buffer);
    this.line = new Float32Array(side + 1);
  }

  /** Pixels between squares: a twelfth of a square. */
  static gap(side) {
    return Math.round(side / 12);
  }

  clear(place) {
    const { side, words, canvas } = this;
    for (let y = 0; y < side; y++) {
      const start = y * canvas.width + place * this.pitch;
      words.fill(0, start, start + side);
    }
  }

  /** Draw `cells` (h x w) times `gain`, in [-1, 1], bilinearly: `more` colours what is above zero, `less` below. */
  paint(place, cells, height, width, gain, more, less) {
    const { side, words, canvas } = this;
    if (this.line.length <= width) this.line = new Float32Array(width + 1);
    const line = this.line;
    const [down, across] = [grid(height, side), grid(width, side)];
    const by = gain * 255;
    for (let y = 0; y < side; y++) {
      const top = down.low[y] * width;
      const below = height > 1 ? top + width : top;
      const share = down.share[y];
      for (let x = 0; x < width; x++) line[x] = by * (cells[top + x] * (1 - share) + cells[below + x] * share);
      line[width] = line[width - 1];
      const start = y * canvas.width + place * this.pitch;
      for (let x = 0; x < side; x++) {
        const at = across.low[x];
        const value = line[at] + (line[at + 1] - line[at]) * across.share[x];
        words[start + x] = value >= 0 ? more[value > 255 ? 255 : value | 0] : less ? less[value < -255 ? 255 : -value | 0] : 0;
      }
    }
  }

  show() {
    this.context.putImageData(this.image, 0, 0);
    this.canvas.drawn = true;
  }
}

/** The first of the two nearest cells, and the share of the second, for each of `pixels` (half-pixel centres). */
function grid(cells, pixels) {
  const key = cells * 65536 + pixels;
  if (!GRIDS.has(key)) {
    const low = new Uint16Array(pixels);
    const share = new Float32Array(pixels);
    for (let i = 0; i < pixels; i++) {
      const place = Math.min(cells - 1, Math.max(0, ((i + 0.5) * cells) / pixels - 0.5));
      low[i] = Math.min(Math.max(0, cells - 2), Math.floor(place));
      share[i] = place - low[i];
    }
    GRIDS.set(key, { low, share });
  }
  return GRIDS.get(key);
}

/** Why a map cannot be drawn, in words; "" if it can. */
function missing(map) {
  if (!map) return "no map";
  if (map.peak === null) return "undefined";
  if (map.peak === 0) return "dead map";
  return map.cells ? "" : "…";
}

/** A map on a scale; "" or why there is none. */
export function paintMap(surface, place, map, scale) {
  const words = missing(map);
  if (words) surface.clear(place);
  else surface.paint(place, map.cells, map.height, map.width, map.peak / scale / map.top, TABLES.heat, null);
  return words;
}

/** Both maps divided by their own sums (of what is above zero), and the first subtracted; null if not possible. */
export function change(before, now) {
  if (missing(before) || missing(now) || before.cells.length !== now.cells.length) return null;
  const sums = [before, now].map(({ cells }) => cells.reduce((sum, cell) => sum + Math.max(0, cell), 0));
  if (!sums[0] || !sums[1]) return null;
  return Float32Array.from(now.cells, (cell, i) => Math.max(0, cell) / sums[1] - Math.max(0, before.cells[i]) / sums[0]);
}

/** The difference of two maps on a scale: red where the second has more, blue where it has less. */
export function paintChange(surface, place, before, now, scale) {
  const cells = change(before, now);
  const words = missing(before) || missing(now) || (cells ? "" : "not comparable");
  if (words) surface.clear(place);
  else surface.paint(place, cells, now.height, now.width, 1 / (scale || 1), TABLES.more, TABLES.less);
  return words;
}
