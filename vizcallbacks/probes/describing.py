"""What a probe set holds in words, and what it is too small or too poor to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..safe_text import one_line

if TYPE_CHECKING:
    from .probe_set import ProbeSet

FEW = 8
"""Images below which one odd image decides a rule such as "for 90 %" of them."""

MOST_CLASSES = 12  # that are listed one by one


def describe(probe: ProbeSet) -> str:
    """Lines on images, classes and masks, and one that begins with "note:" for each piece of `advice`."""
    count, channels, height, width = probe.images.shape
    low, high = probe.images.min(), probe.images.max()
    lines = [
        f"{count} images of {channels} x {height} x {width}, values {low:.4g} to {high:.4g}",
        _classes(probe),
        *(_mask(probe, name) for name in probe.masks),
        f"digest {probe.digest[:16]}",
        *(f"note: {sentence}" for sentence in advice(probe)),
    ]
    return "\n".join(map(one_line, lines))


def facts_of(probe: ProbeSet) -> dict[str, Any]:
    """What `describe` says, for programs: shape, digest, images by class, areas of masks, and the advice."""
    classes = [] if probe.labels is None else np.unique(probe.labels, return_counts=True)
    areas = {name: mask.mean(axis=(1, 2)) for name, mask in probe.masks.items()}
    return {
        "images": len(probe),
        "shape": list(probe.images.shape[1:]),
        "digest": probe.digest,
        "classes": [
            {"class": int(number), "name": probe.class_name(int(number)), "images": int(count)}
            for number, count in zip(*classes)
        ],
        "masks": {
            name: {"mean": float(area.mean()), "least": float(area.min()), "most": float(area.max())}
            for name, area in areas.items()
        },
        "advice": advice(probe),
    }


def advice(probe: ProbeSet, has_baseline: bool = False) -> list[str]:
    """What the set cannot tell, each with what would help; empty for a set without such weakness.

    Parameters
    ----------
    probe : ProbeSet
    has_baseline : bool
        Whether its maps are compared with a baseline, which makes up for masks.

    Returns
    -------
    list of str, a sentence each
    """
    found = []
    if probe.labels is None:
        found.append(
            "no labels: right and wrong predictions cannot be told apart; give the images' classes as labels"
        )
    elif len(np.unique(probe.labels)) == 1:
        found.append(
            "only one class: a net that looks at the same place for every class cannot be told from one that "
            "knows the class; add images of others"
        )
    if len(probe) < FEW:
        found.append(
            f"{_images(len(probe))}: a single odd one decides; give at least {FEW}, better two of each class"
        )
    if not probe.masks and not has_baseline:
        found.append(
            "no masks: without a baseline there is no region that attention is expected in; give masks (boxes "
            "will do), or compare with a baseline"
        )
    for name, mask in probe.masks.items():
        empty = [probe.names[i] for i in np.flatnonzero(~mask.any(axis=(1, 2)))]
        if empty:
            found.append(
                f"mask {name!r} is empty in {_images(len(empty))} ({', '.join(empty[:3])}"
                f"{', ...' if len(empty) > 3 else ''}), which no rule on it can judge; was it cropped away, or "
                "smaller than half a pixel of the net's?"
            )
        full = int((mask.mean(axis=(1, 2)) > 0.9).sum())
        if full:
            found.append(
                f"mask {name!r} covers more than 90 % of {_images(full)}: nearly any map passes there; give "
                "narrower regions, or images with more around the object"
            )
    twins = len(probe) - len({image.tobytes() for image in probe.images})
    if twins:
        found.append(f"{_images(twins)} like another to the bit; leave the copies out")
    return found


def _classes(probe: ProbeSet) -> str:
    if probe.labels is None:
        return "no labels"
    numbers, counts = np.unique(probe.labels, return_counts=True)
    listed = [f"{probe.class_name(int(c))} {n}" for c, n in zip(numbers, counts)]
    more = f", and {len(listed) - MOST_CLASSES} more" if len(listed) > MOST_CLASSES else ""
    kind = "class" if len(listed) == 1 else "classes"
    return f"{len(listed)} {kind} (images): {', '.join(listed[:MOST_CLASSES])}{more}"


def _mask(probe: ProbeSet, name: str) -> str:
    area = probe.masks[name].mean(axis=(1, 2))
    return f"mask {name!r}: {area.mean():.1%} of the area, from {area.min():.1%} to {area.max():.1%}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
