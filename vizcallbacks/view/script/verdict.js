// The verdict on top, where the page has none of its own: in TensorBoard. A page has it as plain HTML.

import { el } from "./dom.js";

/** Elements that tell what checks of the runs found; what failed first. */
export function verdictsOf(runs) {
  const judged = runs.filter((run) => run.verdict).sort((a, b) => Number(a.verdict.passed) - Number(b.verdict.passed));
  return judged.flatMap((run, place) => [sentence(run, place), table(run)]);
}

function sentence({ name, verdict }, place) {
  const failed = verdict.rules.filter((rule) => !rule.passed);
  const count = verdict.rules.length;
  const said = el("p", { class: place ? "sentence" : "sentence first" },
    el("span", { class: failed.length ? "fail" : "pass" }, failed.length ? `✗ ${name} failed` : `✓ ${name} passed`),
    failed.length ? ` ${failed.length} of ${count} rules` : ` its attention check: ${count} of ${count} rules hold`);
  if (!failed.length) return said;
  const told = failed.slice(0, 2).map((rule) => `${rule.measure}: ${rule.told}`).join("; ");
  return el("div", {}, said, el("p", { class: "told" }, told));
}

function table({ verdict }) {
  const rows = verdict.rules.map((rule) => el("tr", {},
    el("td", { class: rule.passed ? "pass" : "fail" }, rule.passed ? "✓ pass" : "✗ FAIL"),
    el("th", { scope: "row" }, rule.rule), el("td", {}, rule.told), el("td", {}, failing(rule.failing))));
  return el("details", {}, el("summary", {}, verdict.title.split(": ").slice(1).join(": ") || verdict.when),
    el("table", { class: "rules" }, el("tbody", {}, ...rows)));
}

function failing(count) {
  return count ? `${count} image${count > 1 ? "s fail" : " fails"} individually` : "";
}
