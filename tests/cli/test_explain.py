"""The command explain, as a user runs it: on real photographs, on odd files among them, and interrupted."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
import pytest
import skimage
import sklearn
from gluoncv import model_zoo
from PIL import Image

import vizcallbacks as vc
from vizcallbacks import cli
from vizcallbacks.attribution.methods import METHODS
from vizcallbacks.cli import explain as explaining
from vizcallbacks.cli.explain import result_names
from vizcallbacks.probes.photographs import find_photographs, read_photograph

COMMAND = str(Path(sys.executable).parent / "vizcallbacks")
COFFEE = Path(skimage.__file__).parent / "data" / "coffee.png"
CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"
CHINA = Path(sklearn.__file__).parent / "datasets" / "images" / "china.jpg"


def run(*arguments, **environment):
    return subprocess.run(
        [COMMAND, "explain", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def make_odd_photographs(folder):
    """One photograph, coffee, in many kinds of file; and what is none, under endings of photographs."""
    coffee = Image.open(COFFEE).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6  # the stored picture has to be turned clockwise
    coffee.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=95, exif=turned)
    coffee.convert("CMYK").save(folder / "print.jpg", quality=95)
    coffee.convert("CMYK").save(folder / "print.tif")
    coffee.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.gif")
    coffee.save(
        folder / "film.webp", save_all=True, append_images=[Image.new("RGB", coffee.size)], quality=95
    )
    cv2.imwrite(str(folder / "deep.png"), np.asarray(coffee)[..., ::-1].astype(np.uint16) * 257)
    clear = coffee.convert("RGBA")
    clear.paste((0, 255, 0, 0), (0, 0, 20, 400))  # a strip at the side that is cropped away
    clear.save(folder / "clear.PNG")
    good = sorted(path.name for path in folder.iterdir())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "half.jpg").write_bytes(CHINA.read_bytes()[:20000])
    (folder / "notes.txt").write_text("not looked at")
    (folder / ".hidden.png").write_bytes(COFFEE.read_bytes())
    os.mkfifo(folder / "pipe.png")
    return good


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Two runs over the odd photographs and two cats, the first with a missing file: they, the results, good."""
    root = tmp_path_factory.mktemp("photographs")
    good = make_odd_photographs(root)
    for name in ("a", "b"):
        (root / name).mkdir()
        shutil.copy(CAT if name == "a" else CHINA, root / name / "cat.png")
    (root / "empty").mkdir()
    out = root / "results" / "here"  # inside, and still not taken for photographs
    done = run(root, root / "turned.jpg", root / "none.jpg", root / "empty", "--out", out, "--raw")
    again = run(root, "--out", out)
    return done, again, out, good


@pytest.mark.slow
def test_every_kind_of_file_shows_the_same_coffee(odd):
    done, _, _, good = odd
    assert len(good) == 7
    for name in good:
        block = re.search(rf"/{re.escape(name)} > .*\n +(\d\.\d\d)  (.*)\n", done.stdout)
        assert block, name
        assert block[2] == "espresso (967)"
        assert float(block[1]) > 0.7, name
    assert len(re.findall(r"^ +\d\.\d\d  ", done.stdout, re.MULTILINE)) == 5 * 9


@pytest.mark.slow
def test_what_cannot_be_read_is_named_and_the_others_go_on(odd):
    done, _, out, _ = odd
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("not explained: ")]
    assert len(told) == len(done.stderr.splitlines()) == 6
    for name, reason in (
        ("empty.jpg'", "cannot be read as one"),
        ("text.png'", "cannot be read as one"),
        ("half.jpg'", "truncated"),
        ("pipe.png'", "is no file"),
        ("none.jpg'", "No such file"),
        ("empty'", "must hold photographs, got none ending in .jpg"),
    ):
        assert any(name in line and reason in line for line in told), name
    assert done.stdout.splitlines()[-1] == f"9 of 15 explained, pictures in {out}"


@pytest.mark.slow
def test_files_of_one_name_have_a_picture_each_and_none_is_left_over(odd):
    _, _, out, good = odd
    names = [Path(name).stem for name in good if name != "print.tif"] + ["print-2", "cat", "cat-2"]
    assert sorted(p.name for p in out.iterdir()) == sorted(
        ["all.csv", "all.png", "peaks.png", *(f"{n}.{end}" for n in names for end in ("png", "npz"))]
    )
    for cat, source in (("cat", CAT), ("cat-2", CHINA)):
        picture = np.load(out / f"{cat}.npz")["picture"]
        np.testing.assert_array_equal(picture, vc.pretrained.load().crop(read_photograph(source)))


@pytest.mark.slow
def test_a_second_run_into_the_same_folder_does_not_explain_its_own_pictures(odd):
    _, again, out, _ = odd
    assert f"9 of 13 explained, pictures in {out}" in again.stdout
    assert len(list(out.glob("*.png"))) == 9 + 2  # and peaks.png and all.png


@pytest.mark.slow
def test_pictures_show_what_the_net_saw_beside_a_map_for_each_method(odd):
    _, _, out, _ = odd
    with np.load(out / "cat.npz") as raw:
        seen = raw["picture"]
    drawn = cv2.imread(str(out / "cat.png"))[..., ::-1]
    squares = [drawn[60 : 60 + 224, left : left + 224] for left in range(16, 936, 232)]
    assert drawn.shape[1] == 16 + 4 * 232 - 8 + 16
    np.testing.assert_array_equal(squares[0], seen)
    spread = [square.std() for square in squares]
    assert min(spread) > 5  # none of them is dead


@pytest.mark.slow
def test_raw_maps_are_those_of_explain(odd):
    _, _, out, _ = odd
    model = vc.pretrained.load()
    result = vc.explain(model.net, model.probe_set([read_photograph(CAT)]))
    with np.load(out / "cat.npz", allow_pickle=False) as raw:
        facts = json.loads(raw["facts"].item())
        for method in ("grad_cam", "guided_grad_cam", "saliency"):
            scale = np.abs(result[method]).max()
            np.testing.assert_allclose(raw[method], result[method][0], atol=1e-4 * scale)
        np.testing.assert_allclose(raw["probabilities"], result.probabilities[0], atol=1e-5)
    assert facts["methods"] == ["grad_cam", "guided_grad_cam", "saliency"]
    assert facts["photograph"].endswith("a/cat.png")
    assert (facts["target"], facts["layer"]) == (result.targets[0], result.layer)
    assert model.class_names[facts["prediction"]].endswith("cat")


# A small net of 32 pixels, with parameters and names of one's own


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Arguments for a net of ten classes with random weights, and a folder with five photographs."""
    root = tmp_path_factory.mktemp("own")
    mx.random.seed(3)
    net = model_zoo.get_model("cifar_resnet20_v1", pretrained=False)
    net.initialize(mx.init.Xavier())
    net(mx.nd.zeros((1, 3, 32, 32)))
    net.save_parameters(str(root / "own.params"))
    net.output.bias.set_data(mx.nd.full(10, np.nan))
    net.save_parameters(str(root / "nan.params"))
    (root / "names.txt").write_text("\n".join(f"name {i}" for i in range(10)))
    (root / "photographs").mkdir()
    for number, place in enumerate((COFFEE, CAT, CHINA, COFFEE, CAT)):
        shutil.copy(place, root / "photographs" / f"{number}{place.suffix}")
    return root


def arguments(own, *more, params="own.params"):
    chosen = ["--model", "cifar_resnet20_v1", "--params", own / params, "--classes", own / "names.txt", *more]
    return ["explain", *map(str, chosen)]


def test_a_net_of_ones_own_and_its_names(own, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert cli.main([*arguments(own, own / "photographs", "--batch-size", 2), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("cifar_resnet20_v1, layer 'features.")
    assert "guided 18 of 18 ReLUs" in printed.out
    assert len(re.findall(r"^ +\d\.\d\d  name \d \(\d\)$", printed.out, re.MULTILINE)) == 25
    assert printed.out.count("layer") == 1
    assert printed.out.endswith(f"5 of 5 explained, pictures in {out}\n")
    assert printed.err == ""
    pictures = [f"{i}.png" for i in range(5)]
    assert sorted(path.name for path in out.iterdir()) == [*pictures, "all.csv", "all.png", "peaks.png"]
    assert f"what the maps peak at, by class: {out / 'peaks.png'}\n" in printed.out
    drawn = cv2.imread(str(out / "peaks.png"))
    assert drawn.shape[1] >= 1.6 * drawn.shape[0]


@pytest.mark.parametrize("target", ["7", "NAME 7"])
def test_a_class_may_be_explained_that_is_not_the_prediction(target, own, tmp_path):
    options = ["--methods", "grad_cam, saliency", "--layer", "features.2.1.body.3", "--raw"]
    line = arguments(
        own, own / "photographs" / "1.png", "--target", target, "--out", tmp_path / "o", *options
    )
    assert cli.main(line) == 0
    net = model_zoo.get_model("cifar_resnet20_v1", pretrained=False)
    net.load_parameters(str(own / "own.params"))
    with np.load(tmp_path / "o" / "1.npz") as raw:
        facts = json.loads(raw["facts"].item())
        assert (facts["target"], facts["class"], facts["layer"]) == (7, "name 7 (7)", "features.2.1.body.3")
        crop = raw["picture"].astype(np.float32)
        mean, std = np.array([125.307, 122.961, 113.8575]), np.array([51.5865, 50.847, 51.255])
        image = ((crop - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
        result = vc.explain(net, image, "grad_cam", layer="features.2.1.body.3", targets=7)
        np.testing.assert_allclose(raw["grad_cam"], result["grad_cam"][0], rtol=1e-3, atol=1e-6)
        assert sorted(raw.files) == ["facts", "grad_cam", "outputs", "picture", "probabilities", "saliency"]


def test_outputs_that_are_no_numbers_are_said_to_be(own, tmp_path, capsys):
    line = arguments(own, own / "photographs", "--out", tmp_path / "o", "--raw", params="nan.params")
    assert cli.main(line) == 0
    assert capsys.readouterr().out.count("the net's outputs are not numbers (NaN)") == 5
    assert len(list((tmp_path / "o").glob("*.png"))) == 5 + 2  # and peaks.png and all.png


REFUSED = {
    "an unknown layer": (["--layer", "conv9"], "layer 'conv9' .*features.0"),
    "an unknown method": (["--methods", "grad_cam,cam"], "methods must be names from: grad_cam, .*got 'cam'"),
    "no method": (["--methods", ""], "methods must be names from"),
    "an unknown class": (["--target", "nam 3"], r"no class is called 'nam 3'; close to it: name 3 \(3\)"),
    "a class too many": (["--target", "10"], "must be one of 0 to 9, got 10"),
    "no batch": (["--batch-size", "0"], "batch_size must be an int of at least 1"),
    "an unknown net": (["--model", "resnet19"], "resnet19"),
    "missing parameters": (["--params", "none.params"], "none.params"),
    "missing names": (["--classes", "none.txt"], "there is no file 'none.txt'"),
    "a wrong number of classes": (["--classes", "7"], "shapes differ: output"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments_are_refused_before_anything_is_written(case, own, tmp_path, capsys):
    more, message = REFUSED[case]
    line = arguments(own, own / "photographs", "--out", tmp_path / "o")
    assert cli.main([*line, *more]) == 2
    printed = capsys.readouterr()
    assert re.match(f"vizcallbacks explain: .*{message}", printed.err, re.DOTALL), printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not (tmp_path / "o").exists()


def test_a_folder_that_is_not_to_be_written_to_is_refused(own, tmp_path, capsys):
    folder = tmp_path / "photographs"
    shutil.copytree(own / "photographs", folder)
    (folder / "1.jpg").write_bytes(CHINA.read_bytes())
    before = sorted((p.name, p.read_bytes()) for p in folder.iterdir())
    for given, out, message in (
        ([folder], folder, "--out must be another folder than that of the photographs"),
        ([folder], f"{folder}/../photographs/", "--out must be another folder than that of the photographs"),
        (
            [folder / "1.jpg", folder / "1.png"],
            folder,
            "which holds the photograph 1.png, as the picture of .*1.jpg",
        ),
        ([folder], folder / "1.png", "--out must be a folder, got .* which is a file"),
        ([folder], folder / "1.png" / "o", "Not a directory"),
        ([tmp_path / "photographs" / ".." / "none"], tmp_path / "o", "No such file"),
    ):
        assert cli.main(arguments(own, *given, "--out", out)) == 2
        assert re.search(message, capsys.readouterr().err), message
    assert sorted((p.name, p.read_bytes()) for p in folder.iterdir()) == before


def test_no_photograph_at_all_is_an_error(own, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert cli.main(arguments(own, tmp_path / "empty", "--out", tmp_path / "o")) == 2
    printed = capsys.readouterr()
    assert "empty' must hold photographs, got none ending in .jpg" in printed.err
    assert not (tmp_path / "o").exists()


def test_results_are_written_whole_or_not_at_all(own, tmp_path, monkeypatch, capsys):
    """The disk is full at the second picture: the first is whole, an older second one as it was."""
    out = tmp_path / "o"
    out.mkdir()
    (out / "1.png").write_bytes(b"older")
    synced = []

    def fsync(descriptor):
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    assert cli.main(arguments(own, own / "photographs", "--out", out)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png"]
    assert cv2.imread(str(out / "0.png")) is not None
    assert (out / "1.png").read_bytes() == b"older"


def test_names_are_their_own_numbered_where_alike():
    paths = ["a/cat.jpg", "b/cat.png", "c/Cat.gif", "cat-2.jpg", "ein Bild.tar.gz.png", ".x", "a b\n.png"]
    names = result_names(paths)
    assert names == ["cat", "cat-2", "Cat-3", "cat-2-2", "ein Bild.tar.gz", ".x", "a b\n"]
    long = result_names(["ü" * 126 + ".jpg", "ü" * 126 + ".png"])
    assert long == ["ü" * 100, "ü" * 100 + "-2"]
    assert result_names(["Peaks.png", "b.png"]) == ["Peaks-2", "b"]
    assert result_names(["peaks.png"]) == ["peaks"]
    assert result_names(["all.png", "b.png"]) == ["all-2", "b"]


def test_several_photographs_have_a_table_and_a_contact_sheet(own, tmp_path, capsys):
    out = tmp_path / "o"
    assert cli.main([*arguments(own, own / "photographs", "--target", "7"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"all of them: {out / 'all.png'}, {out / 'all.csv'}\n" in printed
    with open(out / "all.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == [f"{i}.png" for i in range(5)]
    for row in rows:
        told = [float(row[f"probability_{place}"]) for place in range(1, 6)]
        assert told == sorted(told, reverse=True)
        assert row["asked_for"] == "name 7 (7)"
        asked = float(row["probability_asked_for"])
        block = printed.split(f"> {out / row['picture']}\n")[1].split("\n/")[0]
        assert f"   {asked:.2f}  name 7 (7)" in block
        assert ("asked for" in block) == (asked < told[-1])
    sheet = cv2.imread(str(out / "all.png"))
    assert sheet.shape == (176 + 2 * 24 + 2 * 8, 5 * 184 + 8, 3)


def test_a_photograph_is_not_written_over_by_the_picture_of_all(own, tmp_path, capsys):
    shutil.copy(CAT, tmp_path / "peaks.png")
    photographs = [tmp_path / "peaks.png", own / "photographs"]
    assert cli.main([*arguments(own, *photographs), "--out", str(tmp_path)]) == 2
    assert "the photograph peaks.png, as the picture of all would be called" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["peaks.png"]


def test_folders_are_searched_in_order_each_file_once_and_nothing_hidden(tmp_path):
    for name in ("b/2.png", "b/1.JPG", "a/.git/3.png", "a/c/4.webp", "out/5.png", ".6.png", "7.txt", "8"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link.png").symlink_to(tmp_path / "b" / "2.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    places = [str(tmp_path / "8"), str(tmp_path), str(tmp_path / "b" / "1.JPG")]
    paths, faults = find_photographs(places, leave_out=str(tmp_path / "out"))
    assert [os.path.relpath(path, tmp_path) for path in paths] == ["8", "link.png", "a/c/4.webp", "b/1.JPG"]
    assert faults == []


def test_names_that_the_terminal_does_not_have_are_no_error(own, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in (
        "\U0001f600 é.png".encode(),
        b"caf\xe9.png",
        b"line\nbreak\x1b[31m.png",
        b"-x.png",
        b"%s{}.png",
    ):
        shutil.copy(CAT, os.path.join(os.fsencode(folder), name))
    out = tmp_path / "out"
    done = run(*arguments(own, folder, "--out", out, "--raw")[1:], PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "5 of 5 explained" in done.stdout
    assert r"\U0001f600 \xe9.png > " in done.stdout
    assert r"caf\udce9.png > " in done.stdout
    assert r"break\x1b[31m.png > " in done.stdout
    assert sorted(os.listdir(os.fsencode(out)))[0] == b"%s{}.npz"
    assert len(os.listdir(out)) == 5 * 2 + 3  # and peaks.png, all.png and all.csv


def read_terminal(command, environment):
    """What a command writes to a terminal, both streams."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))  # lines, columns
    process = subprocess.Popen(command, stdout=its, stderr=its, env=environment)
    os.close(its)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait(60) == 0, b"".join(parts)
    return b"".join(parts).decode()


@pytest.mark.slow
def test_a_terminal_shows_progress_that_does_not_mix_with_the_text(own, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        cv2.imwrite(str(folder / f"{number:02d}.png"), np.full((40, 40, 3), number * 8, np.uint8))
    command = [COMMAND, *arguments(own, folder, "--out", tmp_path / "out", "--batch-size", 4)]
    shown = read_terminal(command, dict(os.environ))
    pieces = [piece.strip() for piece in re.split(r"[\r\n]+", shown)]
    for number in range(30):
        assert f"{folder}/{number:02d}.png > {tmp_path}/out/{number:02d}.png" in pieces
    assert len([piece for piece in pieces if re.fullmatch(r"\d\.\d\d  name \d \(\d\)", piece)]) == 150
    assert any(re.match(r" *0%\|.*0/30", piece) for piece in pieces)
    assert any(re.match(r"100%\|.*30/30", piece) for piece in pieces)


def test_freed_memory_is_given_back_now_and_then(own, tmp_path, monkeypatch):
    folder, count = tmp_path / "many", 2 * explaining.GIVE_BACK + 1
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:02d}.png"), np.full((40, 40, 3), number * 5, np.uint8))
    given, give = [], explaining._give_memory_back
    monkeypatch.setattr(explaining, "_give_memory_back", lambda: given.append(give()))
    assert cli.main([*arguments(own, folder, "--out", tmp_path / "out", "--batch-size", 1)]) == 0
    assert len(given) == 2


@pytest.mark.slow
def test_ctrl_c_leaves_whole_files_only(own, tmp_path):
    folder, out = tmp_path / "many", tmp_path / "out"
    folder.mkdir()
    for number in range(400):
        shutil.copy(COFFEE, folder / f"{number:03d}.png")
    command = [COMMAND, *arguments(own, folder, "--out", out, "--raw", "--batch-size", 4)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (out.is_dir() and len(list(out.glob("*.npz"))) > 6) and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.splitlines()[-1] == "vizcallbacks explain: interrupted"
    files = list(out.iterdir())
    assert 12 < len(files) < 800
    for path in files:
        if path.suffix == ".png":
            assert read_photograph(path).shape[1] > 900
        else:
            with np.load(path) as raw:
                assert {name: raw[name].shape for name in raw.files}["picture"] == (32, 32, 3)


def test_the_help_names_what_can_be_chosen(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["explain", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "five most probable classes" in printed
    assert all(name in printed for name in METHODS)


def peak_memory(folder, out):
    """In MB, of the command's process."""
    options = ["--methods", "grad_cam", "--out", out]
    process = subprocess.Popen([COMMAND, "explain", folder, *options], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
def test_many_photographs_take_no_more_memory_than_a_few(tmp_path):
    """Without giving it back, 60 photographs more took 4 MB each."""
    for count in (20, 80):
        (tmp_path / str(count)).mkdir()
        for number in range(count):
            shutil.copy(CAT, tmp_path / str(count) / f"{number}.png")
    few, many = (peak_memory(tmp_path / str(count), tmp_path / f"out{count}") for count in (20, 80))
    assert many < few + 100


@pytest.mark.slow
def test_all_fast_draws_every_method_of_few_passes_side_by_side(tmp_path):
    done = run(CAT, "--out", tmp_path, "--methods", "all-fast", "--raw")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "chelsea.npz") as arrays:
        assert {name for name, method in METHODS.items() if method.is_fast} <= set(arrays)
    drawn = cv2.imread(str(tmp_path / "chelsea.png"))
    assert drawn.shape[1] == 952
    assert drawn.shape[0] > 3 * 178  # three lines of five pictures at least
