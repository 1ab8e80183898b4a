"""The tab "Attention" of TensorBoard: what its server answers. It only reads.

A run is shown if its name is in a list that was made by walking ``--logdir`` (or the folders of
``--logdir_spec``), a step if it is a whole number among that run's; nothing of a query becomes part of a path.
"""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from ..regression.predicted import load_predicted, predicted_path
from ..regression.snapshot import FOLDER, snapshot_path
from .document import (
    PREDICTED,
    SAMENESS,
    document,
    eight_bits,
    probe_part,
    run_part,
    sameness_part,
    step_part,
)
from .page import script, style
from .run import Run, find_runs
from .verdicts import read_verdict

AT_FIRST = 4  # runs that are sent whole before any is chosen

_MODULE = """
export function render() {
  const theme = () => {
    let dark = matchMedia("(prefers-color-scheme: dark)").matches;
    try { dark = parent.document.body.classList.contains("dark-mode"); } catch { /* a frame of another origin */ }
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  theme();
  const watcher = new MutationObserver(theme);
  try { watcher.observe(parent.document.body, { attributeFilter: ["class"] }); } catch { /* same */ }
  document.documentElement.lang = "en";
  document.title = "Attention";
  const root = el("div", { id: "view" });
  document.head.append(el("link", { rel: "stylesheet", href: "view.css" }));
  document.body.append(el("main", {}, root));
  return showServer(root);
}
"""


class AttentionPlugin(base_plugin.TBPlugin):
    """Serves the view over all runs below TensorBoard's folder."""

    plugin_name = "attention"

    def __init__(self, context: Any) -> None:
        self._roots = _roots(getattr(context, "flags", None), context.logdir)
        self._lock = threading.Lock()
        self._steps: dict[Path, tuple[tuple, dict]] = {}
        self._probes: dict[Path, tuple[tuple, dict, dict[str, bytes]]] = {}

    def is_active(self) -> bool:
        """Whether there is anything to show; asked at every reload of the page."""
        return bool(self._runs())

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Attention")

    def get_plugin_apps(self) -> dict[str, Callable]:
        """Path -> WSGI application."""
        module = (script() + _MODULE).encode()
        sheet = style().encode()
        return {
            "/index.js": _reading(lambda request: (module, "application/javascript")),
            "/view.css": _reading(lambda request: (sheet, "text/css")),
            "/document": _reading(self._document),
            "/part": _reading(self._part),
        }

    def _runs(self) -> dict[str, Path]:
        """Name -> folder, of all runs that exist now."""
        found = {}
        for prefix, root in self._roots:
            for name, path in find_runs(root).items():
                shown = "/".join(part for part in (prefix, "" if name == "." else name) if part)
                found[shown or path.resolve().name] = path
        return found

    def _document(self, request: wrappers.Request) -> tuple[bytes, str]:
        """The document; of runs that are not asked for (``run=`` in the query) only the names."""
        runs = self._runs()
        asked = [name for name in request.args.getlist("run") if name in runs] or list(runs)[:AT_FIRST]
        with self._lock:
            probes: dict[str, int] = {}
            probe_parts: list[dict] = []
            parts = []
            for name, path in runs.items():
                try:
                    part = self._run(name, path, probes, probe_parts) if name in asked else None
                except (OSError, ValueError) as error:
                    part = run_part(name, -1, [], None, [f"cannot be read: {error}"])
                parts.append(part or run_part(name, -1, [], None, []))
        made = {**document("Attention", probe_parts, parts), "message": _nothing(self._roots)}
        return json.dumps(made, separators=(",", ":")).encode(), "application/json"

    def _run(self, name: str, path: Path, probes: dict[str, int], probe_parts: list[dict]) -> dict:
        """A run's part, with a place for its probe set (ValueError, OSError: that cannot be read)."""
        steps, notes = [], []
        run = Run(path)
        probe = self._probe(name, path)[0]
        for step in run.steps:
            try:
                steps.append(self._step(name, run, step))
            except (OSError, ValueError) as error:
                notes.append(f"the snapshot of step {step} is left out: {error}")
        if probe["digest"] not in probes:
            probes[probe["digest"]] = len(probes)
            probe_parts.append(probe)
        verdict = None
        try:
            verdict = read_verdict(path, probe["digest"], len(probe["names"]))
        except (OSError, ValueError) as error:
            notes.append(f"what its check found is left out: {error}")
        return run_part(name, probes[probe["digest"]], steps, verdict, notes)

    def _step(self, name: str, run: Run, step: int) -> dict:
        path, beside = snapshot_path(run.path, step), predicted_path(run.path, step)
        stamp = (*_stamp(path), *(_stamp(beside) if beside.exists() else ()))
        known = self._steps.get(path)
        if known is None or known[0] != stamp:
            address = _address(run=name, step=step, stamp=stamp[0])
            put = lambda part, _: f"{address}&name={_quoted(part)}"  # noqa: E731  made when it is asked for
            snapshot = run.snapshot(step)
            known = stamp, step_part(snapshot, put, run.probe, load_predicted(run.path, snapshot))
            self._steps[path] = known
        return known[1]

    def _probe(self, name: str, path: Path) -> tuple[dict, dict[str, bytes]]:
        """A run's probe set as a part of the document, and the binary parts by name."""
        file = path / FOLDER / "probe.npz"
        stamp = _stamp(file)
        known = self._probes.get(file)
        if known is None or known[0] != stamp:
            parts: dict[str, bytes] = {}
            address = _address(run=name, stamp=stamp[0])

            def put(part: str, make: Callable[[], bytes]) -> str:
                parts[part] = make()
                return f"{address}&name={_quoted(part)}"

            known = stamp, probe_part(Run(path).probe, put), parts
            self._probes[file] = known
        return known[1], known[2]

    def _part(self, request: wrappers.Request) -> tuple[bytes, str]:
        """A binary part: ``run`` and ``name``, and for maps ``step``."""
        name, part, step = (request.args.get(key) for key in ("run", "name", "step"))
        path = self._runs().get(name or "")
        if path is None or part is None:
            raise _Refused(404, "no such run")
        if step is None:
            with self._lock:
                parts = self._probe(name or "", path)[1]
            if part not in parts:
                raise _Refused(404, "no such part")
            return parts[part], "application/octet-stream"
        if not (step.isascii() and step.isdigit()):
            raise _Refused(400, "step must be a whole number")
        run = Run(path)
        snapshot = run.snapshot(int(step))
        if part == PREDICTED:
            predicted = load_predicted(path, snapshot)
            if predicted is None:
                raise _Refused(404, "no such map")
            return eight_bits(predicted.maps)[0], "application/octet-stream"
        method = part.removeprefix(SAMENESS)
        if method not in snapshot.maps:
            raise _Refused(404, "no such map")
        if method != part:
            return sameness_part(snapshot, run.probe, method), "application/octet-stream"
        return eight_bits(snapshot.maps[method])[0], "application/octet-stream"


class _Refused(Exception):
    """A request that gets another status than 200."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def _reading(answer: Callable[[wrappers.Request], tuple[bytes, str]]) -> Callable:
    """A WSGI application that answers GET, with an ETag."""

    @wrappers.Request.application
    def respond(request: wrappers.Request) -> Any:
        if request.method not in ("GET", "HEAD"):
            refused = http_util.Respond(request, "this plugin only reads", "text/plain", 405)
            refused.headers["Allow"] = "GET, HEAD"
            return refused
        try:
            data, kind = answer(request)
        except _Refused as error:
            return http_util.Respond(request, str(error), "text/plain", error.code)
        except (OSError, ValueError) as error:  # a file that is damaged, or went away meanwhile
            return http_util.Respond(request, str(error), "text/plain", 404)
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if tag in request.headers.get("If-None-Match", ""):
            return _unchanged(kind, tag)
        return http_util.Respond(request, data, kind, headers=[("ETag", tag)])

    return respond


def _unchanged(kind: str, tag: str) -> Callable:
    """A 304 with the headers that TensorBoard demands of every answer: werkzeug's own lacks them."""

    def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
        headers = {
            "Content-Type": kind,
            "X-Content-Type-Options": "nosniff",
            "ETag": tag,
            "Cache-Control": "no-cache",
        }
        start_response("304 Not Modified", list(headers.items()))
        return [b""]

    return application


def _roots(flags: Any, logdir: str | None) -> list[tuple[str, str]]:
    """Prefix of names, and folder, of each place to look in: ``--logdir``, or those of ``--logdir_spec``."""
    if logdir:
        return [("", logdir)]
    roots = []
    for text in filter(None, (getattr(flags, "logdir_spec", "") or "").split(",")):
        name, colon, path = text.partition(":")
        named = colon and "/" not in name
        roots.append((name if named else text.strip("/"), path if named else text))
    return roots


def _nothing(roots: list[tuple[str, str]]) -> str:
    places = ", ".join(path for _, path in roots) or "no folder was given (--logdir)"
    return (
        f"No attention snapshots yet in {places}. They appear with the first that an AttentionHandler takes."
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _address(**query: Any) -> str:
    return "part?" + urllib.parse.urlencode(query)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
