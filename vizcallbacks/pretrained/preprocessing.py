"""How a picture becomes a net's input: `Preprocessing`, and `PretrainedModel`, a net together with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..checks import as_numpy
from ..mxnet_door import gluon
from ..probes.preparing import centre_crop
from ..probes.probe_set import ProbeSet


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture before the net sees it.

    Attributes
    ----------
    size : int
        Side of the square that the net takes, pixels.
    short_side : int
        The picture is resized so that its shorter side is this, before the centre is cropped.
    mean, std : float, or a tuple of one for each channel
        The net takes (crop - mean) / std, the crop's values being 0 to 255.
    """

    size: int
    short_side: int
    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class PretrainedModel:
    """A net with weights, and what belongs to it.

    Attributes
    ----------
    name : str
    net : gluon.HybridBlock
        Takes (N, 3, size, size) float32, returns (N, classes) scores before the softmax.
    class_names : tuple of str
        Empty if not known.
    preprocessing : Preprocessing
    """

    name: str
    net: gluon.HybridBlock = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    preprocessing: Preprocessing

    def crop(self, picture: Any) -> np.ndarray:
        """What the net sees of a picture: resized, the centre cropped.

        A picture of size x size is taken as it is, so a crop's crop is itself.

        Parameters
        ----------
        picture : (h, w, 3), uint8 RGB
            Of any size. For a grey one: ``np.repeat(picture[..., None], 3, axis=2)``.

        Returns
        -------
        ndarray, (size, size, 3), uint8

        Raises
        ------
        ValueError, TypeError
            The picture has another shape or type.
        """
        picture = as_numpy(picture)
        if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ValueError(f"a picture must be (h, w, 3) RGB, got shape {picture.shape}; {_TO_RGB}")
        if picture.dtype != np.uint8:
            raise TypeError(f"a picture must be uint8, got {picture.dtype}; scale to 0..255 and convert")
        return self._cropped(picture)

    def to_input(self, crop: Any) -> np.ndarray:
        """What the net takes: (size, size, 3) uint8 -> (3, size, size) float32, normalised.

        Raises
        ------
        ValueError, TypeError
            `crop` has another shape or type.
        """
        crop, size = as_numpy(crop), self.preprocessing.size
        if crop.shape != (size, size, 3):
            raise ValueError(f"a crop must be ({size}, {size}, 3), got shape {crop.shape}; use crop(picture)")
        mean, std = np.asarray(self.preprocessing.mean), np.asarray(self.preprocessing.std)
        values = (self.crop(crop) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)

    def probe_set(
        self,
        pictures: Sequence,
        labels: Any = None,
        names: Sequence[str] | None = None,
        masks: Mapping[str, Sequence] | None = None,
    ) -> ProbeSet:
        """A probe set of pictures, cropped and normalised for this net.

        Parameters
        ----------
        pictures : sequence of (h, w, 3), uint8 RGB
            Each of any size; the set's display pictures are their crops.
        labels, names
            As for `ProbeSet`.
        masks : mapping of str to sequence of (h, w), bool, optional
            Named regions, each mask of its picture's size; they are cropped with the pictures. A pixel of the crop
            is inside if at least half of it is.

        Returns
        -------
        ProbeSet
            It has this model's class names.

        Raises
        ------
        ValueError, TypeError
            As `crop` and `ProbeSet`; a mask differs from its picture in size.
        """
        crops = [self.crop(picture) for picture in pictures]
        if not crops:
            raise ValueError("pictures must hold at least one picture, got none")
        sizes = [as_numpy(picture).shape[:2] for picture in pictures]
        regions = {name: self._cropped_masks(name, some, sizes) for name, some in (masks or {}).items()}
        return ProbeSet(
            np.stack([self.to_input(crop) for crop in crops]),
            labels,
            pictures=np.stack(crops),
            names=names,
            class_names=self.class_names,
            masks=regions,
        )

    def _cropped(self, picture: np.ndarray) -> np.ndarray:
        size = self.preprocessing.size
        if picture.shape[:2] == (size, size):
            return picture
        return centre_crop(picture, size, self.preprocessing.short_side)

    def _cropped_masks(self, name: str, masks: Sequence, sizes: list[tuple[int, ...]]) -> np.ndarray:
        listed = [as_numpy(mask) for mask in masks]
        if [mask.shape for mask in listed] != sizes:
            raise ValueError(
                f"masks[{name!r}] must have one mask for each picture, of its height and width: {sizes}, got "
                f"{[mask.shape for mask in listed]}"
            )
        if any(mask.dtype != bool for mask in listed):
            raise TypeError(f"masks[{name!r}] must be bool; say where it is, e.g. mask > 0.5")
        return np.stack([self._cropped(np.where(mask, 255, 0).astype(np.uint8)) > 127 for mask in listed])


EFFICIENTNET_LITE0 = Preprocessing(224, 256, 127.0, 128.0)
IMAGENET = Preprocessing(224, 256, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CIFAR = Preprocessing(32, 32, (125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255))
_SIZES = {
    **dict.fromkeys(("inceptionv3", "xception", "xception71"), 299),
    **{"resnest101": 256, "resnest200": 320, "resnest269": 416},
}
"""Name of a zoo's net -> the side it was trained for, where that is not 224."""
_TO_RGB = "for a grey one: np.repeat(picture[..., None], 3, axis=2)"


def preprocessing_of(name: str) -> Preprocessing:
    size = _SIZES.get(name, IMAGENET.size)
    # 256 for 224, and 342 for 299: the share of the picture on which the zoos were evaluated
    imagenet = replace(IMAGENET, size=size, short_side=math.ceil(size / 0.875))
    return CIFAR if name.startswith("cifar_") else imagenet
