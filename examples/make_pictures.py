"""The README's pictures except view.png: ``python examples/make_pictures.py runs/demo runs/tutorial``.

The arguments are the folders of a demo and of a run of the tutorial. Peaks and overviews are drawn from the probe
set and snapshots that the handler wrote, the overviews for some of the digits. A panel is taken from the event
file, and the report is drawn anew. The photographs are one of the tutorial's own pictures. The files, of at most
300 kB each, go to examples/pictures/.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vizcallbacks as vc
from vizcallbacks.checks import pick_evenly
from vizcallbacks.demo.run import check
from vizcallbacks.pictures.lettering import GREY, INK, write
from vizcallbacks.pictures.peak_sheet import peak_sheet
from vizcallbacks.pictures.sheets import Track, overview
from vizcallbacks.regression.report_files import picture
from vizcallbacks.regression.snapshot import list_snapshots, read_run

DIGITS = [0, 1, 2, 5, 9]
FOLDER = Path(__file__).parent / "pictures"


def overview_of(run):
    """Probe images x epochs of a run, (H, W, 3) uint8."""
    probe = vc.ProbeSet.load(run / "attention" / "probe.npz")
    snapshots = [vc.Snapshot.load(path) for path in list_snapshots(run)]
    tracks = []
    for i in [pick_evenly(len(probe), 10)[digit] for digit in DIGITS]:
        cams = [snapshot.maps["grad_cam"][i] for snapshot in snapshots]
        right = [bool(snapshot.predictions[i] == probe.labels[i]) for snapshot in snapshots]
        tracks.append(Track(probe.label_name(i), probe.pictures[i], cams, right))
    return overview(tracks, [snapshot.step or "start" for snapshot in snapshots], corner="Grad-CAM")


def peaks_of(runs):
    """What the networks of some runs look at, side by side, each under its name, (H, W, 3) uint8."""
    drawn = []
    for run in runs:
        snapshot, probe = read_run(run)
        sheet = peak_sheet(vc.peaks(snapshot, probe), snapshot.when)
        name = np.full((64, sheet.shape[1], 3), 255, np.uint8)
        write(name, (16, 0, sheet.shape[1] - 16, 64), f"the {run.name} network", 48, INK)
        drawn.append(np.concatenate([name, sheet]))
    line = np.full((len(drawn[0]), 4, 3), GREY, np.uint8)
    return np.concatenate([part for one in drawn for part in (one, line)][:-1], axis=1)


def logged(run, tag):
    """The newest picture of a tag, (H, W, 3) uint8."""
    events = EventAccumulator(str(run), size_guidance={"images": 0})
    events.Reload()
    return np.asarray(Image.open(io.BytesIO(events.Images(tag)[-1].encoded_image_string)))


def save(picture, name, width):
    """In this width, as a JPEG or a PNG by the name's ending; a PNG above 300 kB is saved in 256 colours."""
    image = Image.fromarray(picture)
    image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    image.save(FOLDER / name, optimize=True, quality=85)
    if name.endswith(".png") and (FOLDER / name).stat().st_size > 300_000:
        image.quantize(256, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    demo, tutorial = map(Path, sys.argv[1:])
    save(peaks_of([demo / "biased", demo / "honest"]), "peaks.png", 1000)
    for name in ("biased", "honest"):
        save(overview_of(demo / name), f"{name}.png", 640)
        save(logged(demo / name, "attention_panels/22_digit_1"), f"panel_{name}.png", 560)
    probe = vc.ProbeSet.load(demo / "biased" / "attention" / "probe.npz")
    save(picture(check(demo, probe), probe, count=2), "report.png", 860)
    save(np.asarray(Image.open(tutorial / "photographs.png").convert("RGB")), "tutorial.jpg", 760)
