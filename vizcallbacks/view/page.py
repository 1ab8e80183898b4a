"""The page: what a check found as plain HTML, and the interactive view, in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = (
    "dom",
    "source",
    "model",
    "draw",
    "state",
    "tile",
    "charts",
    "card",
    "grid",
    "peaks",
    "detail",
    "controls",
    "verdict",
    "main",
)
"""The script's files, each after those that it uses."""

HOME = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A still picture for readers without scripts: WebP bytes, and what it shows in words."""

    data: bytes
    caption: str


def script() -> str:
    """The view's ES modules as one; `showPacked` and `showServer` are its doors."""
    texts = [(HOME / "script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(re.sub(r"(?m)^(import .*\n|export (?=\w))", "", text) for text in texts)


def style() -> str:
    """The view's CSS."""
    return (HOME / "view.css").read_text(encoding="utf-8")


def one_file(title: str, verdicts: Sequence[dict], pictures: Sequence[Picture], pack: bytes) -> bytes:
    """The page with everything in it.

    Its Content-Security-Policy allows no addresses but data and blobs, and no script but its own, so that a
    hostile name of an image or a class can neither run nor fetch anything.

    Parameters
    ----------
    title : str
    verdicts : sequence of dict
        With "run" beside what `document.verdict_part` gives; or with "refused": why a run could not be checked.
    pictures : sequence of Picture
    pack : bytes
        As `document.Pack.join` makes it.
    """
    code = script() + _START
    own = f"script-src 'sha256-{_sha256(code)}'"
    policy = f"default-src 'none'; {own}; style-src 'unsafe-inline'; img-src data: blob:"
    images = [
        (f"data:image/webp;base64,{base64.b64encode(picture.data).decode()}", picture.caption)
        for picture in pictures
    ]
    head = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n<style>{style()}</style>'
    tail = (
        f'<script type="text/plain" id="data">{base64.b64encode(pack).decode()}</script>\n'
        f'<script type="module">{code}</script>'
    )
    return _page(title, verdicts, images, head, tail)


def with_assets(
    title: str, verdicts: Sequence[dict], pictures: Sequence[Picture], pack: bytes, folder: str
) -> tuple[bytes, dict[str, bytes]]:
    """The page with style, script, data and pictures as files of `folder`, for servers that forbid inline ones.

    Returns
    -------
    page : bytes
    files : dict of str to bytes
        Name inside `folder` -> content. They work from disk too, so the script is not a module.
    """
    data = f"globalThis.vizcallbacksData = {json.dumps(base64.b64encode(pack).decode())};\n"
    files = {
        "view.css": style().encode(),
        "view.js": f"(() => {{\n{script()}\nshowPacked(globalThis.vizcallbacksData);\n}})();\n".encode(),
        "data.js": data.encode(),
        **{f"picture-{i}.webp": picture.data for i, picture in enumerate(pictures)},
    }
    at = html.escape(folder.rstrip("/"))
    images = [(f"{at}/picture-{i}.webp", picture.caption) for i, picture in enumerate(pictures)]
    head = f'<link rel="stylesheet" href="{at}/view.css">'
    tail = f'<script src="{at}/data.js" defer></script>\n<script src="{at}/view.js" defer></script>'
    return _page(title, verdicts, images, head, tail), files


_START = '\nshowPacked(document.getElementById("data").textContent);\n'


def _page(title: str, verdicts: Any, images: list[tuple[str, str]], head: str, tail: str) -> bytes:
    figures = "\n".join(
        f'<figure class="worst plain"><figcaption>{html.escape(caption)}</figcaption>'
        f'<img src="{source}" alt="{html.escape(caption)}"></figure>'
        for source, caption in images
    )
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
{head}
</head>
<body>
<main>
<header class="verdict">
<h1>{html.escape(title)}</h1>
{_verdicts(verdicts)}
</header>
<p class="hint plain">The interactive view needs JavaScript; without it, this is what was found.</p>
{figures}
<div id="view"></div>
</main>
{tail}
</body>
</html>
"""
    return text.encode("utf-8", "replace")


def _verdicts(verdicts: Sequence[dict]) -> str:
    if not verdicts:
        return '<p class="sentence first">What the network looks at</p>'
    sizes = ["sentence first"] + ["sentence"] * (len(verdicts) - 1)
    return "\n".join(_sentence(verdict, size) + _rules(verdict) for verdict, size in zip(verdicts, sizes))


def _sentence(verdict: dict, size: str) -> str:
    run = html.escape(verdict["run"])
    if "refused" in verdict:
        return f'<p class="{size}">{run} was not checked: {html.escape(verdict["refused"])}</p>'
    failed = [rule for rule in verdict["rules"] if not rule["passed"]]
    count = len(verdict["rules"])
    if not failed:
        return (
            f'<p class="{size}"><span class="pass">✓ {run} passed</span> its attention check: '
            f"{count} of {count} rules hold</p>"
        )
    told = "; ".join(html.escape(f"{rule['measure']}: {rule['told']}") for rule in failed[:2])
    return (
        f'<p class="{size}"><span class="fail">✗ {run} failed</span> {len(failed)} of {count} rules</p>'
        f'<p class="told">{told}</p>'
    )


def _rules(verdict: dict) -> str:
    if "refused" in verdict:
        return ""
    rows = "\n".join(
        f'<tr><td class="{"pass" if rule["passed"] else "fail"}">{"✓ pass" if rule["passed"] else "✗ FAIL"}</td>'
        f"<th scope=row>{html.escape(rule['rule'])}</th><td>{html.escape(rule['told'])}</td>"
        f"<td>{_failing(rule['failing'])}</td></tr>"
        for rule in verdict["rules"]
    )
    title = html.escape(verdict["title"].partition(": ")[2])
    return f'<details open><summary>{title}</summary><table class="rules"><tbody>{rows}</tbody></table></details>'


def _failing(count: int) -> str:
    return "" if not count else f"{count} image{'s fail' if count > 1 else ' fails'} individually"


def _sha256(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
