"""What a classifier's outputs mean: probabilities and predicted classes, as far as they can be told."""

from __future__ import annotations

import numpy as np

OUTPUTS = ("logits", "probabilities", "sigmoid")
"""What `explain(output=)` takes, beside None."""


def check_output(output: str | None) -> None:
    """Raise ValueError unless `output` is None or in `OUTPUTS`."""
    if output is not None and output not in OUTPUTS:
        raise ValueError(f"output must be None or one of {', '.join(map(repr, OUTPUTS))}, got {output!r}")


def kind_of(outputs: np.ndarray) -> str | None:
    """What outputs (N, classes) are if nobody tells.

    Returns
    -------
    str or None
        "probabilities" where every image's are at least 0 and sum to 1 (within 0.001); otherwise "logits". None
        for a single output: that may be a logit, a probability or any other number.
    """
    if outputs.shape[1] == 1:
        return None
    known = outputs[np.isfinite(outputs).all(axis=1)].astype(np.float64)
    sums_to_one = len(known) and known.min() >= 0 and np.abs(known.sum(axis=1) - 1).max() <= 1e-3
    return "probabilities" if sums_to_one else "logits"


def probabilities_of(outputs: np.ndarray, output: str | None) -> np.ndarray | None:
    """Probabilities of outputs (N, classes), of the same shape; None if they have none.

    Parameters
    ----------
    output : str or None
        As `kind_of` gives it. "logits": softmax over the classes, which says nothing for a single output;
        "sigmoid": each class's for itself; "probabilities": the outputs as they are.

    Raises
    ------
    ValueError
        `output` is "probabilities", and they are not between 0 and 1.
    """
    if output == "probabilities":
        with np.errstate(invalid="ignore"):
            if (outputs < -1e-3).any() or (outputs > 1 + 1e-3).any():
                raise ValueError(
                    f"output='probabilities', but the net's outputs range from {np.nanmin(outputs):.4g} to "
                    f"{np.nanmax(outputs):.4g}; output='logits' takes their softmax, 'sigmoid' their sigmoid"
                )
        return outputs
    if output == "sigmoid":
        with np.errstate(over="ignore"):
            return (1 / (1 + np.exp(-outputs))).astype(np.float32)
    return softmax(outputs) if output == "logits" and outputs.shape[1] > 1 else None


def predictions_of(outputs: np.ndarray, probabilities: np.ndarray | None = None) -> np.ndarray | None:
    """The predicted class of each image, (N,) int64; -1 where an output is NaN.

    It is the one of the highest output. A single output tells one of two classes if it has a probability: 1 from
    0.5 on, else 0; otherwise there are no classes, and the result is None.
    """
    undefined = np.isnan(outputs).any(axis=1)
    if outputs.shape[1] > 1:
        return np.where(undefined, -1, outputs.argmax(axis=1))
    return (
        None if probabilities is None else np.where(undefined, -1, (probabilities[:, 0] >= 0.5).astype(int))
    )


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Over the classes of (N, classes); rows that are not finite become NaN."""
    with np.errstate(invalid="ignore"):
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)
