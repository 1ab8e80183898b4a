"""Replayed checkpoints: the bits of the training's snapshots, whoever computes them, and whatever happens."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import mxnet as mx
import pytest
from mxnet.gluon import nn

import vizcallbacks as vc
from tests.helpers.checkpoints import (
    OPTIONS,
    build,
    build_hybrid,
    differences,
    on_gpu,
    snapshots,
    train,
    watched,
)
from vizcallbacks.tensorboard.drawing import DrawingLog
from vizcallbacks.training.loading import SymbolNet
from vizcallbacks.training.replay import replay
from vizcallbacks.training.source import Follow

ROOT = str(pathlib.Path(__file__).parents[2])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder with four snapshots, and its checkpoints."""
    home = tmp_path_factory.mktemp("trained")
    with vc.AttentionMonitor(watched(), home / "run", **OPTIONS) as monitor:
        train(home / "checkpoints", 4, monitor)
    return home


def check_same(trained, run, steps=(1, 2, 3, 4)):
    expected = {one.step: one for one in snapshots(trained / "run")}
    found = snapshots(run)
    assert [one.step for one in found] == list(steps)
    for one in found:
        assert differences(expected[one.step], one) == []


@pytest.mark.parametrize("make_net", [build, build_hybrid])
def test_a_replayed_run_is_that_of_the_training_to_the_bit(trained, tmp_path, make_net):
    """Default methods; plain and hybridized; drift and measures included."""
    done = replay(trained / "checkpoints", make_net, watched(), tmp_path / "run", **OPTIONS)
    assert (done.steps, done.skipped, done.passed) == ((1, 2, 3, 4), {}, None)
    check_same(trained, tmp_path / "run")
    assert "drift" in snapshots(tmp_path / "run")[1].measures


def test_the_public_name_is_the_function(trained, tmp_path):
    files = sorted((trained / "checkpoints").iterdir())[:1]
    assert vc.replay(files, build, watched(), tmp_path / "run", **OPTIONS).steps == (1,)


def test_a_replay_waits_for_its_pictures_ten_minutes_at_most(trained, tmp_path, monkeypatch):
    waited, close = [], DrawingLog.close
    monkeypatch.setattr(
        DrawingLog, "close", lambda log, timeout=None: waited.append(timeout) or close(log, timeout)
    )
    replay(sorted((trained / "checkpoints").iterdir())[:1], build, watched(), tmp_path / "run", **OPTIONS)
    assert waited[0] == 600


def test_parts_of_a_large_probe_set_give_the_same_bits(trained, tmp_path):
    replay(
        trained / "checkpoints", build, watched(), tmp_path / "run", chunk=9, **OPTIONS
    )  # 8, whole batches
    check_same(trained, tmp_path / "run")


def test_steps_that_are_there_are_not_taken_again(trained, tmp_path):
    files = sorted((trained / "checkpoints").iterdir())
    replay(files[:2], build, watched(), tmp_path / "run", **OPTIONS)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "run/attention").glob("snapshot-*")}
    told = []
    done = replay(
        files, build, watched(), tmp_path / "run", told=lambda *words: told.append(words), **OPTIONS
    )
    assert done.steps == (3, 4)
    assert told == [(2, 1, "after 3 epochs"), (2, 2, "after 4 epochs")]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    check_same(trained, tmp_path / "run")
    assert replay(files, build, watched(), tmp_path / "run", **OPTIONS).steps == ()


def test_damaged_files_are_named_and_the_others_go_on(trained, tmp_path):
    for path in (trained / "checkpoints").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first, third = tmp_path / "m-epoch0batch1.params", tmp_path / "m-epoch2batch3.params"
    first.write_bytes(first.read_bytes()[:-9])
    mx.nd.save(str(third), {"0.weight": mx.nd.ones((1, 2))})
    done = replay(tmp_path, build, watched(), tmp_path / "run", **OPTIONS)
    assert done.steps == (2, 4)
    assert "no whole checkpoint" in done.skipped[str(first)]
    assert "does not fit the net" in done.skipped[str(third)]
    assert snapshots(tmp_path / "run")[0].step == 2
    good = trained / "checkpoints" / first.name
    first.write_bytes(good.read_bytes())  # too late: steps ascend, and nothing that is there is taken away
    again = replay(tmp_path, build, watched(), tmp_path / "run", **OPTIONS)
    assert again.steps == ()
    assert "is before the newest in the run's folder, 4" in again.skipped[str(first)]


def test_a_gpus_parameters_are_loaded_on_the_cpu_which_is_said(trained, tmp_path, caplog):
    source = trained / "checkpoints" / "m-epoch3batch4.params"
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    on_gpu(path)
    assert replay(path, build, watched(), tmp_path / "run", **OPTIONS).steps == (4,)
    assert f"{path} was saved from a GPU; its parameters are loaded on the CPU" in caplog.text
    check_last(trained, tmp_path / "run")


def check_last(trained, run):
    """The same maps; drift is not, as there is no step before it."""
    (found,) = snapshots(run)
    assert differences(snapshots(trained / "run")[-1], found) == ["measures/drift"]


def test_a_graph_that_was_exported_takes_the_place_of_the_net(tmp_path):
    net = build_hybrid()
    net.initialize(mx.init.Xavier())
    images = mx.nd.array(watched().images)
    net(images)
    net.export(str(tmp_path / "m"), epoch=7)
    graph = SymbolNet(str(tmp_path / "m-symbol.json"))
    replay(tmp_path / "m-0007.params", graph, watched(), tmp_path / "run", **OPTIONS)
    files = (str(tmp_path / "m-symbol.json"), ["data"], str(tmp_path / "m-0007.params"))
    with pytest.warns(UserWarning, match="Cannot decide type"):
        imported = mx.gluon.SymbolBlock.imports(*files)
    expected = vc.explain(imported, watched(), batch_size=8, targets="label")
    (found,) = snapshots(tmp_path / "run")
    assert (found.step, found.layer) == (7, expected.layer)
    assert found.maps["grad_cam"].tobytes() == expected["grad_cam"].tobytes()
    (tmp_path / "x-symbol.json").write_text("{}")
    with pytest.raises(ValueError, match="must be a graph that net.export wrote, but cannot be read"):
        replay(
            tmp_path / "m-0007.params",
            SymbolNet(str(tmp_path / "x-symbol.json")),
            watched(),
            tmp_path / "c",
        )


def test_structural_names_are_mapped_on_a_graph_only_where_shapes_tell_them_apart(tmp_path):
    """CheckpointHandler's symbol file has the graph's names, its parameters those of the blocks."""

    def small(channels):
        net = nn.HybridSequential()
        net.add(
            nn.Conv2D(5, 3, padding=1, use_bias=False),
            nn.Activation("relu"),
            nn.GlobalAvgPool2D(),
            nn.Dense(4),
        )
        if channels:
            net.add(nn.Dense(4))  # its bias has the shape of the other's
        net.hybridize()
        net.initialize(mx.init.Xavier())
        net(mx.nd.array(watched().images))
        net.export(str(tmp_path / f"g{channels}"))
        net.save_parameters(str(tmp_path / f"m{channels}-epoch0batch1.params"))
        return SymbolNet(str(tmp_path / f"g{channels}-symbol.json"))

    graph = small(0)
    done = replay(tmp_path / "m0-epoch0batch1.params", graph, watched(), tmp_path / "a", **OPTIONS)
    assert done.skipped == {}
    replay(tmp_path / "g0-0000.params", graph, watched(), tmp_path / "b", **OPTIONS)
    (one,), (other,) = snapshots(tmp_path / "a"), snapshots(tmp_path / "b")
    assert set(differences(one, other)) == {"step", "when"}
    done = replay(tmp_path / "m1-epoch0batch1.params", small(1), watched(), tmp_path / "c", **OPTIONS)
    assert "cannot be told apart: give a function that builds the net" in next(iter(done.skipped.values()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "workers must be an int of at least 1"),
        ({"chunk": 0}, "chunk must be an int of at least 1"),
        ({"shard": (0, 2)}, "replay takes no shard"),
        ({"methods": "grad_cams"}, "grad_cams"),
        ({"layer": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_arguments_are_refused_before_a_folder_is_made(trained, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        replay(trained / "checkpoints", build, watched(), tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


# Beside a training


def test_a_folder_that_a_training_writes_is_followed(trained, tmp_path):
    """Checkpoints appear one after the other, each written in two halves."""
    files = sorted((trained / "checkpoints").iterdir())

    def write():
        time.sleep(0.5)
        for path in files:
            data = path.read_bytes()
            with open(tmp_path / path.name, "wb") as file:
                file.write(data[:-100])
                file.flush()
                time.sleep(0.7)
                file.write(data[-100:])

    writer = threading.Thread(target=write)
    writer.start()
    done = replay(tmp_path, build, watched(), tmp_path / "run", follow=Follow(until=4), **OPTIONS)
    writer.join()
    assert (done.steps, done.skipped) == ((1, 2, 3, 4), {})
    check_same(trained, tmp_path / "run")


def test_following_ends_where_nothing_new_comes(trained, tmp_path):
    files = trained / "checkpoints"
    assert replay(files, build, watched(), tmp_path / "a", follow=Follow(idle=0.1), **OPTIONS).steps == (
        1,
        2,
        3,
        4,
    )
    assert replay(files, build, watched(), tmp_path / "b", follow=Follow(until=2), **OPTIONS).steps == (
        1,
        2,
    )


# Processes


def script(trained, run, more=""):
    """A process of its own that replays; as a user's script, guarded, since workers import it."""
    return textwrap.dedent(
        f"""
        import vizcallbacks as vc
        from tests.helpers.checkpoints import OPTIONS, build, watched

        if __name__ == "__main__":
            done = vc.replay({str(trained / "checkpoints")!r}, build, watched(), {str(run)!r}, {more} **OPTIONS)
            print(done.steps, done.skipped)
        """
    )


def start(folder, text, *arguments):
    (folder / "script.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, str(folder / "script.py"), *arguments],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_replay_that_is_killed_goes_on_where_it_was(trained, tmp_path):
    hold = "told=lambda total, taken, when: taken == 2 and __import__('time').sleep(600),"
    process = start(tmp_path, script(trained, tmp_path / "run", hold))
    until = time.monotonic() + 120
    while not (tmp_path / "run/attention/snapshot-00000002.npz").exists():
        assert time.monotonic() < until
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = replay(trained / "checkpoints", build, watched(), tmp_path / "run", **OPTIONS)
    assert done.steps == (3, 4)
    check_same(trained, tmp_path / "run")


@pytest.mark.slow
def test_two_processes_give_the_same_bits(trained, tmp_path):
    pytest.importorskip("distributed")
    process = start(tmp_path, script(trained, tmp_path / "run", "workers=2,"))
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert out == "(1, 2, 3, 4) {}\n"
    check_same(trained, tmp_path / "run")


class Cluster:
    """A scheduler and workers on 127.0.0.1, each a process of its own, as on several machines."""

    def __init__(self, folder):
        self._folder, self._processes = folder, []
        port_file = folder / "scheduler.json"
        self._run(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(port_file),
        )
        until = time.monotonic() + 60
        while not port_file.exists():
            assert time.monotonic() < until
            time.sleep(0.1)
        self.address = json.loads(port_file.read_text())["address"]

    def worker(self, where=ROOT):
        return self._run(
            "worker",
            self.address,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            "--no-nanny",
            "--memory-limit",
            "0",
            "--local-directory",
            str(self._folder),
            where=where,
        )

    def _run(self, what, *arguments, where=ROOT):
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
        process = subprocess.Popen(
            command,
            cwd=where,
            env={**os.environ, "PYTHONPATH": str(where), "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed")
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(trained, tmp_path, cluster):
    """Two workers on a real scheduler; one is killed when the first step is written. Each step is taken once."""
    victim, _ = cluster.worker(), cluster.worker()
    told = "lambda *words: (print(words, flush=True), __import__('time').sleep(1))"
    more = f"cluster={cluster.address!r}, chunk=8, told={told},"
    process = start(tmp_path, script(trained, tmp_path / "run", more))
    assert process.stdout.readline() == "(4, 1, 'after 1 epoch')\n", process.stderr.read()
    victim.send_signal(signal.SIGKILL)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert out.splitlines() == [
        "(4, 2, 'after 2 epochs')",
        "(4, 3, 'after 3 epochs')",
        "(4, 4, 'after 4 epochs')",
        "(1, 2, 3, 4) {}",
    ]
    check_same(trained, tmp_path / "run")


@pytest.mark.slow
def test_a_worker_without_the_nets_module_is_named(trained, tmp_path, cluster):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "net_of_mine.py").write_text(
        "from tests.helpers import checkpoints\n\ndef build():\n    return checkpoints.build()\n"
    )
    (tmp_path / "there").mkdir()
    os.symlink(pathlib.Path(ROOT) / "vizcallbacks", tmp_path / "there" / "vizcallbacks")
    cluster.worker(where=tmp_path / "there")
    text = script(trained, tmp_path / "run", f"cluster={cluster.address!r},").replace(
        "from tests.helpers.checkpoints import OPTIONS, build, watched",
        "from net_of_mine import build\nfrom tests.helpers.checkpoints import OPTIONS, watched",
    )
    (tmp_path / "script.py").write_text(text)
    process = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path / 'here'}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 1
    last = process.stderr.strip().splitlines()[-1]
    assert "ImportError: worker tcp://127.0.0.1:" in last
    assert "cannot build the net: No module named 'net_of_mine'" in last
    assert "install the module there, or start the worker in the folder that holds it" in last
