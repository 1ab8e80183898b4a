"""A report as Markdown, for the summary page of a CI job; on GitHub where $GITHUB_STEP_SUMMARY names its file."""

from __future__ import annotations

import html
import os
import re

from ..regression.report import Report, describe

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_IMAGES = 10  # named for each failed rule
MOST_CHARACTERS = 60_000  # GitHub silently drops what is beyond 1 MiB of a step


def markdown(report: Report) -> str:
    """Verdict, a table of the rules, and the worst images of those that failed; at most MOST_CHARACTERS."""
    passed = sum(finding.passed for finding in report.findings)
    count = len(report.findings)
    verdict = "✅ Attention check passed" if report.passed else "❌ Attention check failed"
    snapshot = report.snapshot
    lines = [
        f"### {verdict}: {passed} of {count} rules hold",
        "",
        f"{_cell(snapshot.when)}, layer {_cell(str(snapshot.layer))}, {len(report.names)} probe images",
        "",
        "| | rule | found | images that fail individually |",
        "|---|---|---|---|",
    ]
    for finding in report.findings:
        sign = "✅ pass" if finding.passed else "❌ FAIL"
        shown = () if finding.passed else finding.failing[:MOST_IMAGES]
        failing = ", ".join(_cell(report.image(i)) for i in shown)
        left = len(finding.failing) - len(shown)
        failing += f" and {left} more" if shown and left else ""
        row = [sign, _cell(str(finding.rule)), _cell(describe(finding)), failing]
        lines.append(f"| {' | '.join(row)} |")
    if report.flips:
        lines += [
            "",
            f"{len(report.flips)} images are predicted as a class that no run of the baseline predicted.",
        ]
    if report.accept and not report.passed:
        lines += ["", f"If this is how it should look: <code>{html.escape(report.accept)}</code>"]
    return _cut("\n".join(lines) + "\n")


def add_to_job_summary(report: Report) -> bool:
    """Append `markdown` to the file that $GITHUB_STEP_SUMMARY names; False where it names none (OSError)."""
    path = os.environ.get(VARIABLE)
    if not path:
        return False
    with open(path, "a", encoding="utf-8", errors="replace") as file:
        file.write(markdown(report))
    return True


def _cell(text: str) -> str:
    """Text escaped for a cell of a Markdown table: names may be hostile."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~@:-])", r"\\\1", html.escape(" ".join(text.split())))


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    whole = text[:MOST_CHARACTERS].rpartition("\n")[0]
    return f"{whole}\n\nThe rest is left out: the summary would be too long.\n"
