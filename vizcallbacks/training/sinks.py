"""Other places for what TensorBoard gets: a plain folder, MLflow, Weights & Biases, or an object of the user's.

Each has a thread of its own, so that one that is slow, or whose server does not answer, holds up neither the
training nor the others. One that raises is warned of once and left out.
"""

from __future__ import annotations

import csv
import importlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from ..archive import replacing
from ..checks import did_you_mean
from ..pictures.picture import encode
from ..tensorboard.event_log import EventLog, clean_label
from .jobs import Sink

TENSORBOARD = "tensorboard"


class Folder:
    """Curves as ``scalars.csv``, pictures as ``pictures/<tag>/<step>.png``, texts beside them, in a run's folder.

    A step that is logged again is a further row in the CSV file, and the later row counts; its pictures are
    replaced.
    """

    def __init__(self, run: Path) -> None:
        self._run = run

    def scalar(self, tag: str, value: SupportsFloat, step: int) -> None:
        path = self._run / "scalars.csv"
        new = not path.exists()
        with open(path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("tag", "step", "value")] * new + [(tag, step, repr(float(value)))])

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        self._write(tag, f"{step:08d}.png", encode(picture, "png"))

    def text(self, tag: str, text: str, step: int) -> None:
        self._write(tag, f"{step:08d}.md", text.encode())

    def _write(self, tag: str, name: str, data: bytes) -> None:
        folder = self._run.joinpath("pictures", *map(clean_label, tag.split("/")))
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name) as file:
            file.write(data)


class MLflow:
    """A run that the user opened: curves as metrics; overview, peaks, checks and the report page as artefacts."""

    def __init__(self) -> None:
        mlflow = _import("mlflow")
        run = mlflow.active_run()
        if run is None:
            raise ValueError("the sink 'mlflow' needs a run that is open; call mlflow.start_run() before")
        self._client, self._id = mlflow.MlflowClient(), run.info.run_id

    def scalar(self, tag: str, value: SupportsFloat, step: int) -> None:
        self._client.log_metric(self._id, tag, float(value), step=step)

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        if _is_sheet(tag):
            self._client.log_image(self._id, picture, artifact_file=f"{tag}/{step:08d}.png")

    def text(self, tag: str, text: str, step: int) -> None:
        self._client.log_text(self._id, text, f"{tag}/{step:08d}.md")

    def file(self, path: Path) -> None:
        self._client.log_artifact(self._id, str(path), "attention")


class Wandb:
    """A run that the user opened, by the same rules, with the axis ``attention_step``.

    Values are added to the row that the user's next `log` commits: a row committed here moves the run's own step,
    and Weights & Biases drops what is logged at earlier steps. Only where the user logs less often than snapshots
    are taken, rows are committed here, so that none overwrites another.
    """

    def __init__(self) -> None:
        self._wandb = _import("wandb")
        if self._wandb.run is None:
            raise ValueError("the sink 'wandb' needs a run that is open; call wandb.init() before")
        self._run = self._wandb.run
        self._run.define_metric("attention_step", hidden=True)
        self._defined: set[str] = set()
        self._last: tuple[int, int] | None = None  # the step of the last value, and the run's own

    def scalar(self, tag: str, value: SupportsFloat, step: int) -> None:
        self._log(tag, float(value), step)

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        if _is_sheet(tag):
            self._log(tag, self._wandb.Image(picture), step)

    def text(self, tag: str, text: str, step: int) -> None:
        self._run.summary[tag] = text

    def file(self, path: Path) -> None:
        artifact = self._wandb.Artifact(f"attention-{self._run.id}", type="report")
        artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def _log(self, tag: str, value: Any, step: int) -> None:
        if tag not in self._defined:
            self._defined.add(tag)
            self._run.define_metric(tag, step_metric="attention_step")
        if self._last is not None and self._last[0] != step and self._last[1] == self._run.step:
            self._run.log({}, commit=True)
        self._run.log({tag: value, "attention_step": step}, commit=False)
        self._last = (step, self._run.step)


NAMED: dict[str, Callable[[Path], Any]] = {
    "folder": Folder,
    "mlflow": lambda run: MLflow(),
    "wandb": lambda run: Wandb(),
}
"""Name -> function of the run's folder."""


def check_sinks(sinks: Any) -> tuple[Any, ...]:
    """Names and objects as a tuple; ValueError or TypeError for anything that is no sink."""
    sinks = (sinks,) if isinstance(sinks, str) or hasattr(sinks, "scalar") else tuple(sinks)
    for sink in sinks:
        if isinstance(sink, str) and sink not in (TENSORBOARD, *NAMED):
            raise ValueError(
                f"sinks must be of {', '.join(map(repr, (TENSORBOARD, *NAMED)))}, or objects, got {sink!r}"
                f"{did_you_mean(sink, (TENSORBOARD, *NAMED))}"
            )
        if not isinstance(sink, str) and not all(
            callable(getattr(sink, name, None)) for name in ("scalar", "image", "text")
        ):
            raise TypeError(f"a sink must have the methods scalar, image and text, got {sink!r:.80}")
    return sinks


def open_sinks(sinks: Sequence[Any], run: Path, logger: logging.Logger) -> list[SinkLog]:
    """The logs of all but TensorBoard; ValueError or ImportError if one cannot be used."""
    made = [(one, NAMED[one](run)) if isinstance(one, str) else (type(one).__name__, one) for one in sinks
            if one != TENSORBOARD]  # fmt: skip
    return [SinkLog(name, sink, logger) for name, sink in made]


class SinkLog(EventLog):
    """The thread of one sink. It never makes anybody wait: what does not fit into its queue is dropped."""

    def __init__(self, name: str, sink: Any, logger: logging.Logger) -> None:
        self._guard = _Guard(name, sink, logger)
        super().__init__(self._guard, max_pending=4096, wait_seconds=0.0, logger=logger)
        self._name = f"the sink {name!r}"

    @property
    def dropped(self) -> int:
        """Jobs that were not written, and 1 if the sink was left out."""
        return super().dropped + self._guard.failed

    def file(self, path: Path) -> None:
        """Hand a file over, if the sink takes files."""
        self.submit(lambda sink: self._guard.file(path))


class _Guard:
    """The methods of a SummaryWriter that `EventLog` needs, for a sink that is left out when it has failed."""

    def __init__(self, name: str, sink: Any, logger: logging.Logger) -> None:
        self._name, self._sink, self._logger = name, sink, logger
        self.failed = False

    def add_scalar(self, tag: str, value: float, step: int, **_: Any) -> None:
        self._call("scalar", tag, value, step)

    def add_image(self, tag: str, picture: np.ndarray, step: int, **_: Any) -> None:
        self._call("image", tag, picture, step)

    def add_text(self, tag: str, text: str, step: int, **_: Any) -> None:
        self._call("text", tag, text, step)

    def file(self, path: Path) -> None:
        if hasattr(self._sink, "file"):
            self._call("file", path)

    def flush(self) -> None:
        """There is nothing to do: each call is complete."""

    def _call(self, method: str, *values: Any) -> None:
        if self.failed:
            return
        try:
            getattr(self._sink, method)(*values)
        except Exception as error:
            self.failed = True
            self._logger.warning(
                "the sink %r failed (%s: %s) and is left out; training and the other sinks go on",
                self._name,
                type(error).__name__,
                error,
            )


class Everywhere:
    """A `Sink` that hands on to another one and to the logs of more."""

    def __init__(self, first: Sink | None, more: Sequence[SinkLog]) -> None:
        self._first, self._more = first, more

    def scalar(self, tag: str, value: SupportsFloat | None, step: int, description: str = "") -> None:
        self._each(lambda sink: sink.scalar(tag, value, step, description))

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        self._each(lambda sink: sink.image(tag, picture, step))

    def text(self, tag: str, text: str, step: int) -> None:
        self._each(lambda sink: sink.text(tag, text, step))

    def _each(self, job: Callable[[Sink], None]) -> None:
        for log in self._more:
            log.submit(job)
        if self._first is not None:
            job(self._first)


class Nowhere:
    """The methods of a SummaryWriter that `EventLog` needs, for a run without TensorBoard."""

    def add_scalar(self, *_: Any, **__: Any) -> None: ...

    def add_image(self, *_: Any, **__: Any) -> None: ...

    def add_text(self, *_: Any, **__: Any) -> None: ...

    def flush(self) -> None: ...


def _is_sheet(tag: str) -> bool:
    """Overview, peaks and checks, one of each a snapshot; not the panel of each image."""
    return tag.startswith("attention/")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"the sink {name!r} needs the package {name}; pip install 'vizcallbacks[{name}]'"
        ) from error
