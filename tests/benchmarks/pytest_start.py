"""What an installed vizcallbacks adds to the start of every pytest: ``python -m tests.benchmarks.pytest_start``.

An empty project is run in turn with the plugin and with ``-p no:vizcallbacks``, each in a new process. The medians
of the processor time are compared, which other programs change little. Exit code 1 where the plugin costs more
than 50 ms.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 0.050  # seconds
WAYS = {"without": ["-p", "no:vizcallbacks"], "with": []}


def seconds(folder: Path, options: list[str]) -> float:
    """Processor time of one pytest in that folder."""
    line = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        *options,
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*line, str(folder)], cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> dict[str, float]:
    """The median of each way, in seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text("def test_it():\n    pass\n")
        for options in WAYS.values():
            seconds(folder, options)  # files are cached, and compiled
        found = [{way: seconds(folder, options) for way, options in WAYS.items()} for _ in range(rounds)]
    return {way: statistics.median(one[way] for one in found) for way in WAYS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=15, help="of one process each way (default: %(default)s)"
    )
    medians = measure(parser.parse_args().rounds)
    more = medians["with"] - medians["without"]
    told = ", ".join(f"{way} the plugin {1000 * median:.0f} ms" for way, median in medians.items())
    print(f"{told}: {1000 * more:+.0f} ms, at most {1000 * MOST:.0f}")
    return int(more > MOST)


if __name__ == "__main__":
    sys.exit(main())
