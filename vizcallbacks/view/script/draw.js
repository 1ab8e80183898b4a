// Maps as pixels: values are interpolated first, then coloured; the browser only enlarges the result.

const INFERNO =
  "000004,0b0724,210c4a,3d0965,57106e,71196e,8a226a,a32c61,bc3754,d04545,e35933,f1711f,f98c0a,fcaa0f,f9c932,f2e865,fcffa4".split(",");

/** A table of 256 colours, as the 32-bit words of a canvas; alpha rises with the value. */
function table(colourOf, alphaOf) {
  const words = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const [red, green, blue] = colourOf(i / 255);
    words[i] = ((Math.round(255 * alphaOf(i / 255)) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return words;
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

const rising = (value) => 0.94 * value ** 0.7;
const HEAT = table(inferno, rising);
const soon = (value) => 0.94 * value ** 0.5;
const MORE = table(() => [206, 24, 36], soon);
const LESS = table(() => [24, 90, 214], soon);
const GRIDS = new Map();

/** The two nearest cells and the share of the second, for each of `pixels` (half-pixel centres, edges held). */
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

/** How many pixels a map of some cells is drawn with: a multiple, at least `least` where that helps. */
function pixelsOf(cells, least) {
  return cells * Math.max(1, Math.ceil(least / cells));
}

/** Draw `cells` (h x w) times `gain`, in [-1, 1], bilinearly: `more` colours what is above zero, `less` below. */
function paint(canvas, cells, height, width, gain, least, more, less) {
  const [rows, columns] = [pixelsOf(height, least), pixelsOf(width, least)];
  if (canvas.width !== columns || canvas.height !== rows || !canvas.drawn) {
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const image = context.createImageData(columns, rows);
    canvas.drawn = { context, image, words: new Uint32Array(image.data.buffer), line: new Float32Array(width + 1) };
  }
  const { context, image, words, line } = canvas.drawn;
  const [down, across] = [grid(height, rows), grid(width, columns)];
  const by = gain * 255;
  for (let y = 0; y < rows; y++) {
    const top = down.low[y] * width;
    const below = height > 1 ? top + width : top;
    const share = down.share[y];
    for (let x = 0; x < width; x++) line[x] = by * (cells[top + x] * (1 - share) + cells[below + x] * share);
    line[width] = line[width - 1];
    for (let x = 0; x < columns; x++) {
      const at = across.low[x];
      const value = line[at] + (line[at + 1] - line[at]) * across.share[x];
      words[y * columns + x] = value >= 0 ? more[value > 255 ? 255 : value | 0] : less ? less[value < -255 ? 255 : -value | 0] : 0;
    }
  }
  context.putImageData(image, 0, 0);
}

/** A map on a scale; "" or why there is none. */
export function paintMap(canvas, map, scale, least = 48) {
  if (!map) return "no map";
  if (map.peak === null) return "undefined";
  if (map.peak === 0) return "dead map";
  if (!map.cells) return "…";
  paint(canvas, map.cells, map.height, map.width, map.peak / scale / map.top, least, HEAT, null);
  return "";
}

/** Both maps divided by their own sums (of what is above zero), and the first subtracted; null if not possible. */
export function change(before, now) {
  if (!before?.cells || !now?.cells || !before.peak || !now.peak || before.cells.length !== now.cells.length) return null;
  const sums = [before, now].map(({ cells }) => cells.reduce((sum, cell) => sum + Math.max(0, cell), 0));
  if (!sums[0] || !sums[1]) return null;
  return Float32Array.from(now.cells, (cell, i) => Math.max(0, cell) / sums[1] - Math.max(0, before.cells[i]) / sums[0]);
}

/** The difference of two maps on a scale: red where the second has more, blue where it has less. */
export function paintChange(canvas, before, now, scale, least = 48) {
  for (const map of [before, now]) {
    if (!map) return "no map";
    if (map.peak === null) return "undefined";
    if (map.peak === 0) return "dead map";
    if (!map.cells) return "…";
  }
  const cells = change(before, now);
  if (!cells) return "sizes differ";
  paint(canvas, cells, now.height, now.width, 1 / (scale || 1), least, MORE, LESS);
  return "";
}

/** A picture at its own size, in colour or grey. */
export function paintPicture(canvas, pixels, grey) {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const shown = new ImageData(new Uint8ClampedArray(pixels.data), pixels.width, pixels.height);
  if (grey)
    for (let i = 0; i < shown.data.length; i += 4)
      shown.data.fill(0.299 * shown.data[i] + 0.587 * shown.data[i + 1] + 0.114 * shown.data[i + 2], i, i + 3);
  canvas.getContext("2d").putImageData(shown, 0, 0);
}
