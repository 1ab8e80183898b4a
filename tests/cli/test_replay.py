"""``vizcallbacks replay``: the command, on real checkpoints."""

import re
import sys

import mxnet as mx
import numpy as np
import pytest
from gluoncv.model_zoo import get_model
from PIL import Image

import vizcallbacks as vc
from tests.helpers.checkpoints import OPTIONS, build_hybrid, differences, snapshots, train, watched
from vizcallbacks.cli import main

NET = "tests.helpers.checkpoints:build"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained")
    with vc.AttentionMonitor(watched(), home / "run", **OPTIONS) as monitor:
        train(home / "checkpoints", 3, monitor)
    watched().save(home / "probe.npz")
    return home


@pytest.fixture(autouse=True)
def place(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setattr(sys, "path", list(sys.path))


def run(*arguments):
    return main([str(argument) for argument in ("replay", *arguments)])


def test_the_run_is_that_of_the_training(trained, tmp_path, capsys):
    given = ("checkpoints", "--net", NET, "--probe", "probe.npz", "--logdir", tmp_path / "run")
    assert run(*given, "--batch-size", 8, "--show", 4) == 0
    out, err = capsys.readouterr()
    assert f"3 snapshots taken, up to step 3, in {tmp_path / 'run'}" in out
    assert err == ""  # no progress bar where no terminal is
    for one, other in zip(snapshots(trained / "run"), snapshots(tmp_path / "run")):
        assert differences(one, other) == []


def test_a_run_tells_probe_set_layer_and_methods(trained, tmp_path, capsys):
    assert (
        run("checkpoints", "--net", NET, "--like", "run", "--logdir", tmp_path / "run", "--batch-size", 8)
        == 0
    )
    assert "as in run: layer 3, methods grad_cam" in capsys.readouterr().out
    for one, other in zip(snapshots(trained / "run"), snapshots(tmp_path / "run")):
        assert set(differences(one, other)) <= {"relus"}  # only the CAM family was asked for


def test_a_check_that_fails_gives_exit_code_1_and_the_first_bad_step_is_found(tmp_path, capsys):
    given = ("checkpoints", "--net", NET, "--probe", "probe.npz", "--rule", "probability <= 0.01")
    assert run(*given, "--logdir", tmp_path / "a") == 1
    assert "the last snapshot fails its check" in capsys.readouterr().out
    assert run(*given, "--logdir", tmp_path / "b", "--first-bad") == 1
    out = capsys.readouterr().out
    assert "first bad: step 1, checkpoints/m-epoch0batch1.params (looked at" in out
    passing = (*given[:-1], "probability <= 1")
    assert run(*passing, "--logdir", tmp_path / "c", "--first-bad") == 0
    assert "no bad checkpoint, as the last one passes (looked at 1 of 3: steps 3)" in capsys.readouterr().out
    assert run(*passing, "--logdir", tmp_path / "d") == 0


def test_a_damaged_checkpoint_is_named_with_exit_code_2(trained, tmp_path, capsys):
    for path in (trained / "checkpoints").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: -10 if "epoch1" in path.name else None])
    assert run(tmp_path, "--net", NET, "--probe", "probe.npz", "--logdir", tmp_path / "run") == 2
    out, err = capsys.readouterr()
    assert "2 snapshots taken" in out
    assert re.search(r"skipped: .*m-epoch1batch2.params' is no whole checkpoint", err)


def test_a_graphs_file_is_a_net(tmp_path):
    net = build_hybrid()
    net.initialize()
    net(mx.nd.array(watched().images))
    net.export(str(tmp_path / "m"), epoch=5)
    graph = tmp_path / "m-symbol.json"
    assert (
        run(tmp_path / "m-0005.params", "--net", graph, "--probe", "probe.npz", "--logdir", tmp_path / "r")
        == 0
    )
    assert [one.step for one in snapshots(tmp_path / "r")] == [5]


def test_a_zoos_net_takes_a_folder_of_pictures(tmp_path):
    """Prepared as the zoo wants them: 32 px, CIFAR's mean and deviation."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(2):
            pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    net = get_model("cifar_resnet20_v1", classes=2)
    net.initialize()
    net(mx.nd.zeros((1, 3, 32, 32)))
    net.save_parameters(str(tmp_path / "0.5000-cifar-resnet20-0-best.params"))
    arguments = ("--net", "cifar_resnet20_v1", "--classes", 2, "--probe", tmp_path / "images")
    assert (
        run(tmp_path / "0.5000-cifar-resnet20-0-best.params", *arguments, "--logdir", tmp_path / "run") == 0
    )
    probe = vc.ProbeSet.load(tmp_path / "run" / "attention" / "probe.npz")
    mean, std = np.array([125.307, 122.961, 113.8575]), np.array([51.5865, 50.847, 51.255])
    expected = (probe.pictures.astype(float) - mean) / std
    np.testing.assert_allclose(probe.images, expected.transpose(0, 3, 1, 2), atol=1e-5)
    (found,) = snapshots(tmp_path / "run")
    assert found.step == 1
    assert np.isfinite(found.maps["grad_cam"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--net", NET], "give --probe, such as --probe probe.npz .*, or --like RUN"),
        (
            ["--net", NET, "--probe", "checkpoints"],
            "must be a probe set's file for a net of one's own, got the folder",
        ),
        (["--net", "no.such:net", "--probe", "probe.npz"], "there is no module 'no'"),
        (["--net", "no_net", "--probe", "probe.npz"], "'no_net'"),
        (["--net", NET, "--probe", "probe.npz", "--idle", "1"], "--until and --idle go with --follow"),
        (
            ["--net", NET, "--probe", "probe.npz", "--targets", "x"],
            "--targets must be label, predicted or a class",
        ),
        (["--net", NET, "--probe", "probe.npz", "--first-bad"], "needs a check"),
        (
            ["--net", NET, "--probe", "probe.npz", "--first-bad", "--workers", "2"],
            "leave out --follow, --workers",
        ),
        (["--net", NET, "--probe", "probe.npz", "--step-from", "x"], "must have one group"),
        (["--net", NET, "--probe", "none.npz"], "none.npz"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, capsys, arguments, message):
    assert run("checkpoints", "--logdir", tmp_path / "run", *arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
