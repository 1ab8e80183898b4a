// Elements, made without ever parsing text as HTML: names of images and classes are hostile.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (on...: a listener), attributes and children. */
export function el(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

/** The same for SVG. */
export function svg(tag, given = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), given, children);
}

function filled(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set a text only where it changes: a write costs a layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** At most so many letters, the last one an ellipsis where some are left out. Unlike the browser's own ellipsis, which
 * needs a clip around each text, this costs nothing when hundreds of texts change. */
export function shortened(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, Math.max(1, most - 1)).join("").trimEnd()}…`;
}

/** A number for people: three decimals below 1, two above; "undefined" for none. */
export function number(value) {
  if (value === null || value === undefined) return "undefined";
  const size = Math.abs(value);
  return size >= 10000 ? value.toExponential(1) : value.toFixed(size < 1 ? 3 : 2);
}

/** A share as a whole percentage. */
export function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`;
}
