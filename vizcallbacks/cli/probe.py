"""``vizcallbacks probe``: make a probe set of a folder or a dataset, show it and say what it cannot tell."""

from __future__ import annotations

import argparse
import os
from typing import Any, Callable

import numpy as np

from .. import archive
from ..named import FORM, find_function, is_named
from ..pictures.contact_sheet import contact_sheet
from ..pictures.picture import encode
from ..probes.annotations import read_annotations
from ..probes.describing import facts_of
from ..probes.probe_set import ProbeSet
from .json_out import take_json, write_json
from .terminal import say

DESCRIPTION = (
    "Makes a probe set: the fixed images on which a network is watched. Writes it with a contact sheet, on "
    "which the masks are outlined, and says what it holds and what it cannot tell. Given a probe set's file, "
    "shows that one."
)

ZERO, ONE = np.zeros(1, np.float32), np.ones(1, np.float32)


def run(options: argparse.Namespace) -> int:
    """Make, show and describe a probe set."""
    probe = _probe(options)
    out = options.out or options.source
    sheet = options.sheet or os.path.splitext(out)[0] + ".png"
    if options.out is not None:
        probe.save(options.out)
    if options.out is not None or options.sheet is not None:
        with archive.replacing(sheet) as file:
            file.write(encode(contact_sheet(probe), "png"))
        say(f"{options.out + ' and ' if options.out else ''}{sheet}")
    say(*probe.describe().split("\n"))
    drawn = options.out is not None or options.sheet is not None
    write_json(options, {"probe_set": out, "sheet": sheet if drawn else None, **facts_of(probe)})
    return 0


def _probe(options: argparse.Namespace) -> ProbeSet:
    if options.source.lower().endswith(".npz"):
        given = [flag for flag, value in _making(options).items() if value is not None]
        if given:
            raise ValueError(
                f"{', '.join(given)} must be left out for a finished probe set, {options.source!r}; give the "
                "folder or function that it is made of"
            )
        return ProbeSet.load(options.source)
    if not os.path.isdir(options.source) and not is_named(options.source):
        raise ValueError(
            f"{options.source!r} must be a folder with a folder of images for each class, {FORM} that returns a "
            "dataset, or a probe set's .npz file; check the path"
        )
    if options.out is None:
        raise ValueError("give --out, such as --out probe.npz: where the probe set goes")
    if not options.out.lower().endswith(".npz"):
        raise ValueError(f"--out must end in .npz, got {options.out!r}")
    transform = _transform(options)
    if os.path.isdir(options.source):
        return ProbeSet.from_folder(
            options.source, transform, per_class=options.per_class, size=options.size, masks=_masks(options)
        )
    dataset = find_function(options.source, "the source")()
    if isinstance(dataset, ProbeSet):
        return dataset
    if options.masks is not None or options.annotations is not None:
        raise ValueError(
            "--masks and --annotations go with a folder of images, as a dataset does not tell its files; use "
            "--labels-are-regions, or return a ProbeSet with masks"
        )
    return ProbeSet.from_dataset(
        dataset,
        2 if options.per_class is None else options.per_class,
        transform,
        size=options.size,
        masks="label" if options.labels_are_regions else None,
    )


def _making(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "--out": options.out,
        "--size": options.size,
        "--mean": options.mean,
        "--std": options.std,
        "--transform": options.transform,
        "--per-class": options.per_class,
        "--masks": options.masks,
        "--annotations": options.annotations,
        "--labels-are-regions": options.labels_are_regions or None,
    }


def _masks(options: argparse.Namespace) -> Any:
    if options.labels_are_regions:
        raise ValueError(
            "--labels-are-regions goes with a dataset; for a folder give --masks or --annotations"
        )
    if options.annotations is None:
        return options.masks
    if options.masks is not None:
        raise ValueError("give --masks or --annotations, not both")
    return read_annotations(options.annotations)


def _transform(options: argparse.Namespace) -> Callable | None:
    numbers = [option for option in (options.mean, options.std) if option is not None]
    if options.transform is not None:
        if numbers:
            raise ValueError("give --transform, or --mean and --std, not both")
        return find_function(options.transform, "--transform")
    if not numbers:
        return _scale if os.path.isdir(options.source) or options.size is not None else None
    mean = ZERO if options.mean is None else np.array(options.mean, np.float32)
    std = ONE if options.std is None else np.array(options.std, np.float32)

    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise ValueError(
            f"--mean and --std must be finite, --std above 0, got {mean.tolist()} and {std.tolist()}"
        )
    return lambda picture: _scale(picture, mean, std)


def _scale(picture: Any, mean: np.ndarray = ZERO, std: np.ndarray = ONE) -> np.ndarray:
    """(H, W, C) uint8 -> (C, H, W) float32: scaled to 0 to 1, minus each channel's mean, divided by its std."""
    picture = picture.asnumpy() if hasattr(picture, "asnumpy") else np.asarray(picture)
    picture = picture[..., None] if picture.ndim == 2 else picture
    if mean.size not in (1, picture.shape[2]) or std.size not in (1, picture.shape[2]):
        raise ValueError(
            f"--mean and --std must be one number, or one for each of {picture.shape[2]} channels, got "
            f"{mean.size} and {std.size}"
        )
    scaled = (picture.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def _floats(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be numbers such as 0.485,0.456,0.406, got {text!r}") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=f"a folder with a folder of images for each class; or {FORM}, which returns a dataset of (image, "
        "label) or a ProbeSet; or a probe set's .npz file, to show it",
    )
    parser.add_argument(
        "--out", metavar="NPZ", help="the probe set's file; its contact sheet is written beside it"
    )
    parser.add_argument("--sheet", metavar="PNG", help="the contact sheet (default: --out with .png)")
    parser.add_argument(
        "--size",
        type=int,
        metavar="PX",
        help="resize the short side to this and crop the centre, as a square",
    )
    parser.add_argument(
        "--mean",
        type=_floats,
        metavar="R,G,B",
        help="subtracted from pixels of 0 to 1, such as 0.485,0.456,0.406 (default: 0)",
    )
    parser.add_argument(
        "--std",
        type=_floats,
        metavar="R,G,B",
        help="then divided by, such as 0.229,0.224,0.225 (default: 1)",
    )
    parser.add_argument(
        "--transform",
        metavar=FORM,
        help="your own: image, (H, W, 3) of 0 to 255, to what the net takes, (C, H, W) float32; after --size",
    )
    parser.add_argument(
        "--per-class",
        type=int,
        metavar="N",
        help="images of each class (default: all of a folder, 2 of a dataset)",
    )
    parser.add_argument(
        "--masks",
        metavar="DIR",
        help="mask files, white where the object is: DIR/cat/1.png for the image cat/1.jpg",
    )
    parser.add_argument(
        "--annotations",
        nargs="+",
        metavar="FILE",
        help="boxes and polygons of the images: Pascal VOC (XML), COCO or LabelMe (JSON), or folders of them",
    )
    parser.add_argument(
        "--labels-are-regions",
        action="store_true",
        help="the dataset's labels are boxes or class maps, as of GluonCV's datasets for detection and "
        "segmentation",
    )
    take_json(parser)
