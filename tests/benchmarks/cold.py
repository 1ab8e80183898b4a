"""How the benchmarks of cost measure, in any framework: cold, between training steps. Standard library only.

Measured cold: before each measurement run training steps, as in real use. Warm repetitions would flatter
whatever keeps memory or compiled graphs from one snapshot to the next. Medians over the rounds; only ratios
mean something on another machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Mapping

BATCHES: dict[str, tuple[int, int]] = {
    "resnet18_v1": (8, 224),
    "mobilenet1.0": (8, 224),
    "resnet50_v1": (4, 224),
    "vgg16": (2, 224),
    "cifar_resnet20_v1": (16, 32),
}
"""Net -> (images, their size)."""


def options(description: str, nets: Iterable[str]) -> argparse.ArgumentParser:
    """A parser of ``--nets``, ``--rounds`` and ``--between``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--nets", nargs="+", choices=list(nets), default=list(nets))
    parser.add_argument("--rounds", type=_positive, default=5, help="measurements of each kind (default: 5)")
    parser.add_argument(
        "--between", type=_positive, default=3, help="training steps before each (default: 3)"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed, got {text!r}")
    return int(text)


def measure(
    step: Callable[[], object],
    jobs: Mapping[str, Callable[[], object]],
    rounds: int,
    between: int,
    finish: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Median seconds of "step" and of each job.

    Parameters
    ----------
    step : callable
        A training step.
    jobs : mapping of str to callable
        What is measured, each time after `between` steps, the last of them measured too.
    rounds, between : int, >= 1
    finish : callable, optional
        Waits for the work that the framework does in the background.
    """
    seconds: dict[str, list[float]] = {title: [] for title in ("step", *jobs)}
    for warm_up in (step, *jobs.values()):
        warm_up()
    for _ in range(rounds):
        for title, job in jobs.items():
            for _ in range(between):
                last = _seconds(step, finish)
            seconds["step"].append(last)
            seconds[title].append(_seconds(job, finish))
    return {title: statistics.median(values) for title, values in seconds.items()}


def _seconds(job: Callable[[], object], finish: Callable[[], object]) -> float:
    finish()
    start = time.perf_counter()
    job()
    finish()
    return time.perf_counter() - start


def print_head(heads: Iterable[str]) -> None:
    """Print the first two lines of a Markdown table."""
    heads = list(heads)
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)


def print_row(name: str, step: float, cells: Iterable[str]) -> None:
    """Print a net's line of a Markdown table: its batch, the seconds of a step, then the cells."""
    count, size = BATCHES[name]
    print(f"| {' | '.join([name, f'{count} × {size}', f'{step:.2f}', *cells])} |", flush=True)
