"""Targets that score places of the image: a class's region, and one detection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..mxnet_later import autograd, mx
from .target import Target, shapes_of


@dataclass(frozen=True)
class Segmentation(Target):
    """A class's mean score over a region, by default where the net sees the class."""

    class_id: int
    region: np.ndarray | None
    spatial = True

    def fixed(self, outputs: Any) -> Segmentation:
        if self.region is not None:
            return self
        with autograd.pause():
            seen = self._maps(outputs).asnumpy().argmax(axis=1) == self.class_id
        return replace(self, region=np.where(seen.any(axis=(1, 2), keepdims=True), seen, True))

    def score(self, outputs: Any) -> Any:
        if self.region is None:
            return self.fixed(outputs).score(outputs)
        maps = self._maps(outputs)
        region = self.region if self.region.ndim == 3 else self.region[None]
        if region.shape[1:] != maps.shape[2:]:
            raise ValueError(
                f"region must have the size of the net's output, {maps.shape[2:]}, got {region.shape[1:]}"
            )
        areas = np.maximum(region.sum(axis=(1, 2), keepdims=True), 1)
        weights = mx.nd.array(region / areas, ctx=maps.ctx, dtype=maps.dtype)
        return mx.nd.broadcast_mul(maps[:, self.class_id], weights).sum(axis=(1, 2))

    def _maps(self, outputs: Any) -> Any:
        maps = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        if maps.ndim != 4 or self.class_id >= maps.shape[1]:
            raise ValueError(
                f"a segmentation net must return (n, more than {self.class_id} classes, H, W), "
                f"got {shapes_of(outputs)}"
            )
        return maps

    def _each(self) -> dict[str, np.ndarray]:
        return {"region": self.region} if self.region is not None and self.region.ndim == 3 else {}


@dataclass(frozen=True)
class Detection(Target):
    """The score of the detection of a rank, among all or those of one class.

    Detectors sort what they return, so a place among the outputs tells no detection of another image. Once fixed,
    it is the detection of the same class whose box overlaps most with the one chosen.

    Attributes
    ----------
    rank : int
    class_id : int or None
    places : ndarray, (n,), int64, or None
        Where the chosen detections are among the outputs for the images as they are; None: not chosen yet.
    kinds : ndarray, (n,), float64, or None
        Their classes; -1 where an image has none of that rank.
    boxes : ndarray, (n, 4), float64, or None
        Their boxes, (left, top, right, bottom).
    """

    rank: int
    class_id: int | None
    places: np.ndarray | None = None
    kinds: np.ndarray | None = None
    boxes: np.ndarray | None = None
    spatial = True

    def fixed(self, outputs: Any) -> Detection:
        if self.places is not None:
            return self
        ids, scores, boxes = _read(outputs)
        wanted = ids >= 0 if self.class_id is None else ids == self.class_id
        order = np.argsort(np.where(wanted, -scores, np.inf), axis=1, kind="stable")
        places, rows = order[:, min(self.rank, order.shape[1] - 1)], np.arange(len(ids))
        kinds = np.where(wanted.sum(axis=1) > self.rank, ids[rows, places], -1)
        return replace(self, places=places, kinds=kinds, boxes=boxes[rows, places])

    def score(self, outputs: Any) -> Any:
        if self.places is None:
            return self.fixed(outputs).score(outputs)
        places, found = self._found(*_read(outputs))
        scores = outputs[1].reshape((outputs[1].shape[0], -1))
        picked = mx.nd.pick(scores, mx.nd.array(places, ctx=scores.ctx), axis=1)
        return mx.nd.where(mx.nd.array(found, ctx=scores.ctx, dtype=scores.dtype), picked, 0 * picked)

    def _found(self, ids: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of the chosen detections among other outputs, and whether they are there."""
        chosen = self.boxes[:, None]  # type: ignore[index]
        overlap = _overlap(boxes, chosen)
        place = np.arange(ids.shape[1])[None]
        at_place = place == self.places[:, None]  # type: ignore[index]
        # a box without an area overlaps with nothing: then only the place is left to go by
        overlap = np.where(_areas(chosen) > 0, overlap, at_place)
        overlap = np.where(ids == self.kinds[:, None], overlap, 0)  # type: ignore[index]
        best = overlap.max(axis=1, keepdims=True)
        distance = np.abs(place - self.places[:, None])  # type: ignore[index]
        places = np.where(overlap == best, distance, ids.shape[1]).argmin(axis=1)
        return places, (best[:, 0] > 0) & (self.kinds >= 0)  # type: ignore[operator]

    def _each(self) -> dict[str, np.ndarray]:
        rows = {"places": self.places, "kinds": self.kinds, "boxes": self.boxes}
        return {name: array for name, array in rows.items() if array is not None}


def _read(outputs: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes and scores, (n, K), and boxes, (n, K, 4), of what a detector returns."""
    several = isinstance(outputs, (list, tuple)) and len(outputs) >= 3
    if not several or outputs[1].shape[2:] not in ((), (1,)):
        raise ValueError(
            f"a detector must return ids (n, K, 1), scores (n, K, 1) and boxes, got {shapes_of(outputs)}"
        )
    with autograd.pause():
        ids, scores = (output.reshape((output.shape[0], -1)).asnumpy() for output in outputs[:2])
        boxes = outputs[2].asnumpy().astype(np.float64)
    if boxes.shape != (*ids.shape, 4):
        raise ValueError(f"a detector's boxes must be (n, K, 4), got {shapes_of(outputs)}")
    return ids, scores, boxes


def _areas(boxes: np.ndarray) -> np.ndarray:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union, in [0, 1]."""
    low, high = np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:])
    common = _areas(np.concatenate([low, high], axis=-1))
    union = _areas(boxes) + _areas(others) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
