"""The curves of a snapshot, and what each tells, in a sentence: TensorBoard shows it beside the curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..attribution.methods import METHODS
from ..measures.of_one_map import mean_defined
from ..regression.report import Report
from ..regression.snapshot import Snapshot
from ..tensorboard.event_log import clean_label
from .jobs import Sink

MEANS, PER_IMAGE = "attention_mean", "attention_per_image"

SENTENCES = {
    "score": "The explained score, before the softmax.",
    "probability": "The probability of the class that the maps explain; 1 is certain.",
    "drift": "Rank correlation (Spearman) of each map with that of the last snapshot; 1: it did not move.",
    "entropy": "Entropy of the map, divided by that of an even one; 0: a point, 1: even.",
    "gini": "Gini coefficient of the map; 0: even, near 1: all in few cells.",
    "dead": "Share of the images whose map is zero everywhere; lower is better.",
    "energy": "Share of the map's sum in the region {mask}; by chance it is the region's share of the area.",
    "pointing": "Share of the images whose map has its maximum in the region {mask}.",
    "border_share": "Share of the map's sum in the cells at its border; high: at the image's edges.",
    "violations": "Rules that are violated; 0: all is as it should be.",
    "violating_images": "Images that violate a rule individually.",
    "flips": "Share of the images whose predicted class is another than the baseline's.",
    "spearman": "Rank correlation of each map of {method} with the baseline's; 1: the same order of cells.",
    "pearson": "Correlation of each map of {method} with the baseline's; 1: the same but for its scale.",
    "cosine": "Cosine similarity of each map of {method} with the baseline's; 1: the same but for its scale.",
    "ssim": "Structural similarity (SSIM) of each map of {method} to the baseline's; 1: the same.",
    "top_k_iou": "Overlap of the largest cells of each map of {method} with the baseline's; 1: the same cells.",
    "centre_shift": "How far the centre of mass of {method} is from the baseline's, as a share of the diagonal.",
}
"""Measure, or similarity to a baseline -> what it tells; {mask} and {method} are the other part of its name."""


def description(name: str) -> str:
    """One sentence on a measure: "energy/object", "drift", "grad_cam/pearson"; "Mean of <name>." for others."""
    first, _, rest = name.partition("/")
    if first in METHODS and rest in SENTENCES:
        return SENTENCES[rest].format(method=METHODS[first].title)
    if first in SENTENCES:
        return SENTENCES[first].format(mask=f"'{rest}'", method="the maps")
    return f"Mean of {name}."


def curves_job(
    snapshot: Snapshot, report: Report | None, images: Sequence[tuple[str, int]] = ()
) -> Callable[[Sink], None]:
    """The job that logs the means of a snapshot's measures and of what a check found.

    `images`: (tag, number) of those that also have curves of their own.
    """
    checked = {} if report is None else {one.rule.name: one.values for one in report.findings}
    measures = {**snapshot.measures, **checked}

    def job(sink: Sink) -> None:
        def curve(tag: str, value: float, name: str) -> None:
            sink.scalar(tag, value, snapshot.step, description(name))

        if report is not None:
            curve(f"{MEANS}/check_violations", len(report.failures), "violations")
            curve(f"{MEANS}/check_violating_images", len(report.violations()), "violating_images")
        for name, values in measures.items():
            group = clean_label(name, 60)  # a mask may have any name
            curve(f"{MEANS}/{group}", mean_defined(values)[0], name)
            for tag, i in images:
                curve(f"{PER_IMAGE}/{group}/{tag}", float(values[i]), name)

    return job
