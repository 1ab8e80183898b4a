"""The README's table of networks, from what is measured: ``python tests/benchmarks/coverage_table.py``.

Each family of `tests.helpers.families` is run on one noise image. *ReLUs* are those guided of those that ran, as
`explain` reports them; "recorded" stands where the net cannot be traced. *forward* is
how far the score is from the net's own, as a share of the largest output: the pass runs the kernels of training,
and folds BatchNorms into convolutions, which round otherwise than predict mode does. That gradients are right
is what tests/nets/test_zoo.py asserts.
"""

from __future__ import annotations

import os
import sys

import mxnet as mx
import numpy as np

import vizcallbacks as vc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.helpers.families import FAMILIES, Family, family_net, first

ONEDNN = os.environ.get("MXNET_MKLDNN_ENABLED") != "0"


def row(family: Family) -> str:
    """One family's line."""
    cells = [family.name, f"`{family.member}`", f"{family.size}"]
    if ONEDNN and not family.onednn:
        return (
            f"| {' | '.join([*cells, '', '', 'MXNet cannot train it with oneDNN: MXNET_MKLDNN_ENABLED=0'])} |"
        )
    net = family_net(family)
    image = np.random.RandomState(0).normal(size=(1, 3, family.size, family.size)).astype(np.float32)
    expected = first(net(mx.nd.array(image))).asnumpy()
    result = vc.explain(net, image, "guided_backprop", targets=lambda outputs: first(outputs)[:, 0])
    difference = np.abs(result.scores - expected[:, 0]).max() / np.abs(expected).max()
    counts = {kind: count for kind, count in result.plain_activations.items() if count}
    notes = [] if result.route == "traced" else ["recorded"]
    notes += [f"{count} {kind}s" for kind, count in counts.items()]
    notes += [f"not guided in {', '.join(result.unguided)}"] if result.unguided else []
    guided, total = result.relus
    cells += [f"{difference:.0e}" if difference else "same", f"{guided} of {total}", ", ".join(notes)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table in Markdown."""
    heads = ["family", "tried on", "pixels", "forward", "ReLUs", "note"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for family in FAMILIES:
        print(row(family), flush=True)


if __name__ == "__main__":
    main()
