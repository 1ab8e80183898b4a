"""`ask_net`: does the net answer by what its maps mark? It is asked again, with pixels taken away or shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..checks import check_whole
from ..mxnet_door import gluon, mx
from ..nets.instrument import instrumented
from .explaining import Attributions
from .faithfulness import deletion, full_and_kept, insertion

CURVES: dict[str, Callable[..., np.ndarray]] = {"deletion": deletion, "insertion": insertion}
"""Name -> function of (probabilities, images, maps, classes, steps): (N,)."""

RATIOS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "drop": lambda full, kept: np.maximum(full - kept, 0) / np.where(full > 0, full, np.nan),
    "increase": lambda full, kept: np.where(np.isnan(full) | np.isnan(kept), np.nan, kept > full),
}
"""Name -> function of the probability (N,) on the image and on what the map keeps of it; their means over the
images are `faithfulness.average_drop` and `faithfulness.average_increase`."""


def ask_net(
    net: gluon.Block,
    result: Attributions,
    method: str = "grad_cam",
    measures: Sequence[str] | str = ("deletion", "insertion", "drop", "increase"),
    *,
    steps: int = 20,
    batch_size: int = 16,
) -> dict[str, np.ndarray]:
    """Ask the net how much of its answer each map accounts for.

    Measured on the probability of the class predicted on the full image, with maps at the image's size: for
    deletion and insertion the net runs 2 (steps + 1) times over the images, for drop and increase twice. Like
    `explain` it leaves the net as it was.

    Parameters
    ----------
    net : gluon.Block
        That `result` is of.
    result : Attributions
    method : str
        One that `result` holds.
    measures : sequence of str
        "deletion" (lower is better), "insertion" (higher), "drop" (lower), "increase" (higher: 1 or 0); their
        definitions and sources are in `vizcallbacks.attribution.faithfulness`.
    steps : int, >= 1
        Of deletion and insertion.

    Returns
    -------
    dict of str to ndarray, (N,), float64
        NaN for flat or dead maps.

    Raises
    ------
    KeyError
        The method was not computed.
    ValueError
        A measure is unknown, or the net's outputs are no (N, classes) array.
    """
    names = (measures,) if isinstance(measures, str) else tuple(measures)
    unknown = [name for name in names if name not in (*CURVES, *RATIOS)]
    if unknown or not names:
        raise ValueError(
            f"measures must be names from {', '.join((*CURVES, *RATIOS))}, got {unknown or 'none'}"
        )
    check_whole("batch_size", batch_size)
    maps = result.at_image_size(method)
    if result.predictions is None or (result.predictions < 0).any():
        raise ValueError("the net must give one (N, classes) array of numbers, whose softmax is asked for")
    found = {}
    with instrumented(net) as runner:
        context = next(iter(net.collect_params().values())).list_ctx()[0]

        def probabilities(images: np.ndarray) -> np.ndarray:
            parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
            passes = (runner.forward(mx.nd.array(part, ctx=context), (), record=False) for part in parts)
            return np.concatenate([mx.nd.softmax(one.outputs).asnumpy() for one in passes])

        asked = (probabilities, result.probe.images, maps, result.predictions)
        if set(names) & set(RATIOS):
            full, kept = full_and_kept(*asked)
        for name in names:
            found[name] = CURVES[name](*asked, steps) if name in CURVES else RATIOS[name](full, kept)
    return found
