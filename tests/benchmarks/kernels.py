"""Where the time of a snapshot goes, by oneDNN's own account: how much of it any way of explaining would take.

    python tests/benchmarks/kernels.py [--nets ...] [--rounds N] [--between N]

Prints a Markdown table: milliseconds of a call, cold, of `snapshot_cost`'s *floor*, its *two gradients* and a
monitor's later snapshots. *Must*: convolutions and dense layers, forward and down to the maps' gradients, which
every explanation of the same images runs, too. *Weights*: gradients of weights, which nobody asked for: MXNet
computes some of them at random, see `vizcallbacks.nets.folding`. *Layouts*: weights and maps laid out anew.
*Others*: activations, sums, pooling, normalization. *No kernel*: Python, waiting, memory, MXNet's own operators.

oneDNN tells what it runs (``DNNL_VERBOSE=1``) on the standard output of a process, one for each net.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.benchmarks.cold import options, print_head
from tests.benchmarks.snapshot_cost import METHODS, NETS, prepared
from vizcallbacks.mxnet_door import mx

BEGIN, END, CHILD = "begin of ", "end after ", "VIZCALLBACKS_KERNELS"
PARTS = ("must", "weights", "layouts", "others")


def part_of(line: str) -> tuple[str, float] | None:
    """(one of `PARTS`, milliseconds) of a line of oneDNN's account; None for any other line.

    Examples
    --------
    >>> part_of("dnnl_verbose,exec,cpu,convolution,jit,backward_data,src_f32,,alg:direct,mb2_ic3oc64,0.5")
    ('must', 0.5)
    >>> part_of("dnnl_verbose,info,cpu,runtime:OpenMP") is None
    True
    """
    fields = line.strip().split(",")
    if fields[:2] != ["dnnl_verbose", "exec"]:
        return None
    kind, direction, took = fields[3], fields[5], float(fields[-1])
    if kind == "reorder":
        return "layouts", took
    if kind not in ("convolution", "deconvolution", "inner_product"):
        return "others", took
    return "weights" if direction == "backward_weights" else "must", took


def accounts(lines: Iterable[str]) -> dict[str, list[dict[str, float]]]:
    """What runs -> for each of its calls, milliseconds in all ("all") and of each of `PARTS`."""
    found: dict[str, list[dict[str, float]]] = {}
    title = ""
    for line in lines:
        if line.startswith(BEGIN):
            title = line[len(BEGIN) :].strip()
            found.setdefault(title, []).append(dict.fromkeys(PARTS, 0.0))
        elif line.startswith(END):
            found[title][-1]["all"] = float(line[len(END) :])
            title = ""
        elif title and (told := part_of(line)) is not None:
            found[title][-1][told[0]] += told[1]
    return found


def tell(name: str, rounds: int, between: int) -> None:
    """Run everything, with marks around each call."""
    step, jobs = prepared(name, {title: (methods, "later") for title, methods in METHODS.items()})
    for warm_up in (step, *jobs.values(), *jobs.values()):
        warm_up()
    for _ in range(rounds):
        for title, job in jobs.items():
            for _ in range(between):
                step()
            mx.nd.waitall()
            print(f"{BEGIN}{title}", flush=True)
            start = time.perf_counter()
            job()
            mx.nd.waitall()
            print(f"{END}{1e3 * (time.perf_counter() - start)}", flush=True)


def print_account(name: str, calls: dict[str, list[dict[str, float]]]) -> None:
    """A net's lines of the table: medians, each also as a share of the floor."""
    medians = {
        title: {key: statistics.median(call[key] for call in found) for key in ("all", *PARTS)}
        for title, found in calls.items()
    }
    floor = medians["floor"]["all"]
    for title, one in medians.items():
        rest = one["all"] - sum(one[key] for key in PARTS)
        cells = [one["all"], *(one[key] for key in PARTS), rest]
        shown = " | ".join(f"{value:.0f} ({value / floor:.2f})" for value in cells)
        print(f"| {name} | {title} | {shown} |", flush=True)


def main() -> None:
    """Print what the module's docstring says."""
    parser = options("Where the time of a snapshot goes, by oneDNN's own account.", NETS)
    arguments = parser.parse_args()
    if os.environ.get(CHILD):
        tell(arguments.nets[0], arguments.rounds, arguments.between)
        return
    print_head(["net", "what", "ms (floors)", *PARTS, "no kernel"])
    for name in arguments.nets:
        limits = ["--rounds", str(arguments.rounds), "--between", str(arguments.between)]
        told = subprocess.run(
            [sys.executable, os.path.abspath(__file__), "--nets", name, *limits],
            env={**os.environ, "DNNL_VERBOSE": "1", CHILD: "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        print_account(name, accounts(told.stdout.splitlines()))


if __name__ == "__main__":
    main()
