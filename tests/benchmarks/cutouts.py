"""Does each method point at the object? Measured on cut-outs with exact masks, on a pretrained network.

``apt-get install tuxpaint-stamps-default`` (161 MB, GPL-2), then ``python tests/benchmarks/cutouts.py --picture
rows.png``. 81 photographic stamps of ImageNet classes are pasted on photographs, each three times, at random
places and sizes; the stamp's alpha is the object's mask. For every method of METHODS, explaining the true class:

*pointing*  share of maps whose maximum lies in the mask;
*energy*    share of the map's sum that lies in the mask; by chance, the mask's share of the area;
*random*    both once more with all weights shuffled within their arrays, as `vizcallbacks.sanity` does it;
*rank*      Spearman's correlation of the maps with those under shuffled weights: 1 if the weights do not matter.

Of maps with channels, the largest absolute value over them is taken. Of signed maps without channels, pointing
and energy see the positive part. A map that is all zero is undefined, and left out of the means.

Methods of many passes take 5 seconds to some minutes an image, so they get fewer images (``--few``; those of a
thousand passes and more a quarter of that), spread evenly over the set. Below the table, for the others:
`vizcallbacks.sanity`, layer after layer.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import cv2
import numpy as np

import vizcallbacks as vc
from vizcallbacks.attribution.methods import METHODS, chosen_methods
from vizcallbacks.attribution.randomisation import shuffled
from vizcallbacks.checks import pick_evenly
from vizcallbacks.measures.of_one_map import area_share, energy, mean_defined, pointing
from vizcallbacks.measures.of_two_maps import spearman
from vizcallbacks.pictures.panels import header_of, panel, titled_maps
from vizcallbacks.pictures.picture import encode

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.helpers.photographs import photograph

STAMPS = {
    "animals/birds": (
        "drake 97, gander 99, hen 8, magpie 18, ostrich 9, peacock 84, pelican 144, "
        "pink_flamingo 130, rainbow-lorikeet 90, rooster 7, tucan 96, vulture 23"
    ),
    "animals/fish": "lionfish 396",
    "animals/insects": "Brown_slug 114, fly 308, grasshopper 311, mantis 315",
    "animals/mammals": (
        "apes/chimp 367, apes/gorilla 366, aquatic/orca 148, aquatic/otter 360, "
        "aquatic/sea_lion 150, badger 362, bears/european-bear 294, bovines/bison 347, "
        "camel/dromedary 354, cats/lion 291, cats/tiger 292, dogs/fox 277, equines/zebra "
        "340, hippopotamus 344, pig 341, rodents/beaver 337, rodents/marmot 336, "
        "rodents/squirrel 335, wildboar 342"
    ),
    "animals/marsupials": "kangaroo 104, koala 105, wombat 106",
    "food/fruit": (
        "apple_green 948, banana 954, cherimoya 956, lemon 951, orange 950, pineapple 953, "
        "pomegranate 957, strawberry 949"
    ),
    "food/vegetables": "broccoli 937, corn 987, mushroom 947, pepper 945",
    "hobbies": (
        "binoculars 447, camera_35mm 759, music/brass/trumpet 513, music/string/cello 486, "
        "music/percussion/drum_tomtom_floor 541, music/string/guitar_classical 402, "
        "music/string/guitar_electric 546, music/string/violin 889"
    ),
    "household": (
        "tools/hammer 587, tools/paintbrush_large 696, dishes/mug 504, dishes/pitcher_small 725, "
        "dishes/teapot 849, garbagecan 412"
    ),
    "medical": "stethoscope 823",
    "military/vehicles": "f22_raptor 895",
    "plants/mushrooms": "cep-1 997",
    "sports": "basketball 430, soccer 805, tennis_ball 852, tennis_racket 752",
    "town/roadsigns": "stop 919",
    "vehicles": (
        "auto/sportscar2 817, auto/truck 717, cycle/pink_tricycle 870, flight/balloon360 417, "
        "emergency/firetruck 555, flight/planes/747 404, garbagetruck 569, race/indycar 751"
    ),
}
"""Folder -> stamps, each with its ImageNet class: those photographs of which one class is clearly right."""

FOLDER = "/usr/share/tuxpaint/stamps"
GROUNDS = ("astronaut", "camera", "chelsea", "china", "coffee", "flower", "motorcycle", "rocket")
SIZE = 224
SIDES = (104, 152)  # of a stamp's longer side, pixels
MANY_PASSES = [name for name, method in METHODS.items() if not method.is_fast]
THOUSANDS = ("score_cam", "rise")


def main() -> None:
    """Print the table; write the picture."""
    options = _options()
    methods = chosen_methods(options.methods.split(",") if options.methods else tuple(METHODS))
    model = vc.pretrained.efficientnet_lite0()
    probe = cutouts(model, options.stamps)
    probe = probe[pick_evenly(len(probe), options.count)] if options.count else probe
    right = np.mean(vc.explain(model.net, probe, "grad_cam", targets="label").predictions == probe.labels)
    area = area_share(probe.masks["object"]).mean()
    print(f"{len(probe)} pictures, mean area of the object {area:.3f}, named right {right:.2f}\n")
    if options.picture:
        draw(model, probe, options.picture)
    print("| method | images | area | pointing | random | energy | random | rank |")
    print("|---|---|---|---|---|---|---|---|")
    quick = [name for name in methods if name not in MANY_PASSES]
    few = probe[pick_evenly(len(probe), min(options.few, len(probe)))]
    rows = dict.fromkeys(methods, "")
    if quick:
        rows.update(measured(model.net, probe, quick))
    for name in methods:
        if not rows[name]:
            most = max(1, len(few) // 4) if name in THOUSANDS else len(few)
            rows.update(measured(model.net, few[pick_evenly(len(few), most)], [name]))
        print(rows[name], flush=True)
    if quick:
        print(f"\n{len(few)} images, labels as targets")
        print(vc.sanity(model.net, few, quick, targets="label", stages=4))


def cutouts(model, folder: str = FOLDER, seed: int = 0) -> vc.ProbeSet:
    """The stamps on photographs, three pictures of each, with the mask "object"; always the same.

    Raises
    ------
    FileNotFoundError
        The stamps are not in `folder`.
    """
    generator = np.random.default_rng(seed)
    pictures, labels, names, masks = [], [], [], []
    for group, stamps in STAMPS.items():
        for stamp, label in (entry.split(" ") for entry in stamps.split(", ")):
            path = os.path.join(folder, group, f"{stamp}.png")
            if not os.path.isfile(path):
                raise FileNotFoundError(
                    f"no {path}: apt-get install tuxpaint-stamps-default, or --stamps FOLDER"
                )
            image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
            for number in range(3):
                picture, mask = _pasted(image, generator)
                pictures.append(picture)
                masks.append(mask)
                labels.append(int(label))
                names.append(f"{os.path.basename(stamp)} {number + 1}")
    return model.probe_set(pictures, labels, names, {"object": masks})


def _pasted(stamp: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 4) BGRA on a random square of a random photograph; the mask is where it covers at least half."""
    ground = photograph(GROUNDS[generator.integers(len(GROUNDS))])
    square = int(generator.integers(SIZE, min(ground.shape[:2]) + 1))
    top, left = (int(generator.integers(extent - square + 1)) for extent in ground.shape[:2])
    crop = ground[top : top + square, left : left + square]
    picture = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float64)
    rows, columns = np.nonzero(stamp[..., 3])
    stamp = stamp[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float64)
    scale = generator.uniform(*SIDES) / max(stamp.shape[:2])
    height, width = (max(1, round(extent * scale)) for extent in stamp.shape[:2])
    cover = stamp[..., 3:] / 255
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # colours are weighted by their cover before resizing, or what is transparent would bleed in at the edges
    colours = cv2.resize(stamp[..., 2::-1] * cover, (width, height), interpolation=method)
    cover = cv2.resize(cover, (width, height), interpolation=method)[..., None]
    top, left = (int(generator.integers(SIZE - extent + 1)) for extent in (height, width))
    place = np.s_[top : top + height, left : left + width]
    picture[place] = picture[place] * (1 - cover) + colours
    mask = np.zeros((SIZE, SIZE), bool)
    mask[place] = cover[..., 0] >= 0.5
    return np.rint(picture).clip(0, 255).astype(np.uint8), mask


def measured(net, probe: vc.ProbeSet, methods: list[str]) -> dict[str, str]:
    """Each method's line of the table; to stderr the time it all took."""
    start = time.time()
    masks = probe.masks["object"]
    trained = maps_of(net, probe, methods)
    with shuffled(list(net.collect_params().values()), np.random.default_rng(0)):
        random = maps_of(net, probe, methods)
    rows = {}
    for name in methods:
        cells = [f"`{name}`", str(len(probe)), f"{area_share(masks).mean():.3f}"]
        for measure in (pointing, energy):
            cells += [_mean(measure(maps[name], masks)) for maps in (trained, random)]
        rows[name] = f"| {' | '.join([*cells, _mean(spearman(trained[name], random[name]))])} |"
    print(f"{', '.join(methods)}: {time.time() - start:.0f} s", file=sys.stderr, flush=True)
    return rows


def maps_of(net, probe: vc.ProbeSet, methods: list[str]) -> dict[str, np.ndarray]:
    """Method -> (N, h, w): of maps with channels, the largest absolute value over them."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    for start in range(0, len(probe), 16):  # the whole set's maps with channels would take a gigabyte
        result = vc.explain(net, probe[start : start + 16], methods, targets="label", batch_size=4)
        for name, maps in result.maps.items():
            parts[name].append(np.abs(maps).max(axis=1) if METHODS[name].shape == "channels" else maps)
    return {name: np.concatenate(some) for name, some in parts.items()}


def _mean(values: np.ndarray) -> str:
    mean, count = mean_defined(values)
    return f"{mean:.3f}" + ("" if count == len(values) else f" ({count} images)")


def draw(model, probe: vc.ProbeSet, path: str) -> None:
    """Panels of eight pictures, in two columns: the picture, Grad-CAM, Guided Grad-CAM, saliency."""
    some = probe[pick_evenly(len(probe), 8)]
    methods = ("grad_cam", "guided_grad_cam", "saliency")
    result = vc.explain(model.net, some, methods, targets="label")
    panels = []
    for i, prediction in enumerate(result.predictions):
        maps = titled_maps({name: result[name][i] for name in methods})
        header = header_of(some, i, int(prediction), float(result.probabilities[i, prediction]))
        panels.append(panel(some.pictures[i], maps, header))
    columns = [np.concatenate(panels[start::2]) for start in (0, 1)]
    with open(path, "wb") as file:
        file.write(encode(np.concatenate(columns, axis=1), "png"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pointing game and energy of every method, on cut-outs.")
    parser.add_argument("--methods", help="names with commas between; default: all")
    parser.add_argument("--count", type=int, help="pictures, spread evenly over the set; default: all 243")
    parser.add_argument(
        "--few", type=int, default=16, help="pictures for methods of many passes, and for sanity"
    )
    parser.add_argument("--picture", help="PNG file for panels of eight pictures")
    parser.add_argument("--stamps", default=FOLDER, help="folder of the stamps")
    return parser.parse_args()


if __name__ == "__main__":
    main()
