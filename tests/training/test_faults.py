"""What can happen to a week-long run: provoked for real on whole trainings in processes of their own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.regression.snapshot import list_snapshots

from ..helpers import events
from ..helpers.nets import small_net, state_of
from ..helpers.probes import probe_set
from ..helpers.processes import ENVIRONMENT, ROOT


def start(*arguments, prefix=()):
    command = [*prefix, sys.executable, "-m", "tests.helpers.tiny_training", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def finish(process, timeout=120):
    """(what it printed, what it logged); it must have ended in time with code 0."""
    out, log = process.communicate(timeout=timeout)
    assert process.returncode == 0, log
    return json.loads(out), log


@functools.cache
def undisturbed():
    """The parameters' digest of the training without the handler."""
    return finish(start("-", "none"))[0]["digest"]


def steps_of_events(run):
    panels = {
        tag: shown for tag, shown in events.pictures(run).items() if tag.startswith("attention_panels/")
    }
    return [step for step, _ in panels[min(panels)]] if panels else []


def steps(run):
    """Of the snapshots; every file that is there under its final name must be whole."""
    return [vc.Snapshot.load(path).step for path in list_snapshots(run)]


def left_over(run):
    return sorted(path.name for path in run.glob("attention/*.tmp"))


@pytest.mark.slow
def test_with_the_handler_and_without_trouble_all_is_there_and_nothing_is_logged(tmp_path):
    printed, log = finish(start(tmp_path / "run", "none"))
    assert (printed["digest"], printed["failures"], log) == (undisturbed(), 0, "")
    assert steps(tmp_path / "run") == steps_of_events(tmp_path / "run") == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["deleted", "unwritable", "full"])
def test_training_finishes_with_one_warning_when_the_folder_is(fault, tmp_path):
    run = tmp_path / "run"
    printed, log = finish(start(run, fault))
    assert printed["digest"] == undisturbed()
    assert printed["failures"] > 0
    assert log.count("WARNING") == len(log.splitlines()) == 1
    assert "training goes on" in log
    if fault == "deleted":
        assert not run.exists()
    else:
        os.chmod(run, 0o700)
        assert steps(run)[0] == steps_of_events(run)[0] == 0
        assert left_over(run) == []


@pytest.mark.slow
def test_training_finishes_with_one_warning_on_a_disk_that_is_full(tmp_path):
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=900k tmpfs {disk}"
    unshare = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*unshare, "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no disk may be mounted here; the limit of file sizes stands for one in the test above")
    shell = f'{mount} && "$@"; code=$?; cp -r {disk}/run {copy}; exit $code'
    printed, log = finish(start(disk / "run", "none", prefix=[*unshare, "sh", "-c", shell, "sh"]))
    assert printed["digest"] == undisturbed()
    assert printed["failures"] > 0
    assert log.count("WARNING") == len(log.splitlines()) == 1
    assert "No space left on device" in log
    assert steps(copy)[0] == steps_of_events(copy)[0] == 0
    assert left_over(copy) == []


def test_an_unwritable_folder_is_an_error_before_training(tmp_path):
    process = start(tmp_path / "run", "unwritable from the start")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert log.splitlines()[-1].startswith(
        "ValueError: logdir must be a folder of this machine that can be written"
    )
    assert log.splitlines()[-1].endswith("is read-only to you; give another path")


@pytest.mark.slow
def test_after_kill_9_every_file_is_whole_and_the_run_goes_on(tmp_path):
    """Killed at many moments while it writes snapshots as fast as it can; then started again in the folder."""
    script = """if 1:
        import sys
        import vizcallbacks as vc
        from tests.helpers.nets import small_net
        from tests.helpers.probes import probe_set
        net = small_net()
        monitor = vc.AttentionMonitor(probe_set(), sys.argv[1], show=1)
        first = int(sys.argv[2])
        for step in range(first, first + 100000):
            monitor.snapshot(net, step)
            if step == first + 2:
                print("begun", flush=True)
    """
    command, first = [sys.executable, "-c", script, str(tmp_path)], 0
    for delay in (0.01, 0.123, 0.345):
        with subprocess.Popen(
            [*command, str(first)], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            assert child.stdout.readline() == "begun\n"
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
            assert child.wait(10) == -signal.SIGKILL
        assert steps(tmp_path) == list(range(len(list_snapshots(tmp_path))))
        assert set(steps_of_events(tmp_path)) <= set(range(first + 100000))
        vc.ProbeSet.load(tmp_path / "attention" / "probe.npz")
        first = len(list_snapshots(tmp_path))
    (tmp_path / "attention" / "snapshot-00000007.npz.123.abc.tmp").write_bytes(b"half")  # at the latest now
    with vc.AttentionMonitor(probe_set(), tmp_path) as monitor:
        assert "drift" in monitor.snapshot(small_net(), first).measures
    assert left_over(tmp_path) == []


@pytest.mark.slow
def test_two_trainings_of_the_same_second_and_folder_one_is_refused_and_nothing_overwritten(tmp_path):
    run = tmp_path / "run"
    both = [start(run, "held") for _ in range(2)]
    until = time.monotonic() + 100
    while all(process.poll() is None for process in both) and time.monotonic() < until:
        time.sleep(0.05)
    (tmp_path / "released").touch()  # one of them has been refused; the other may go on
    ends = [process.communicate(timeout=120) for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 1], ends
    printed, log = ends[codes.index(0)]
    assert (json.loads(printed)["digest"], log) == (undisturbed(), "")
    refusal = ends[codes.index(1)][1].splitlines()[-1]
    assert f"is in use by another training (process {both[codes.index(0)].pid} on " in refusal
    assert "give another logdir" in refusal
    assert steps(run) == steps_of_events(run) == [0, 1, 2, 3, 4]
    assert len(list(run.glob("*tfevents*"))) == 1


def test_a_folder_held_in_this_process_is_refused_until_it_is_closed(tmp_path):
    net = small_net()
    first = vc.AttentionMonitor(probe_set(), tmp_path)
    first.snapshot(net, 0)
    with pytest.raises(ValueError, match=r"earlier monitor of this process .* close it \(monitor.close\(\)"):
        vc.AttentionMonitor(probe_set(), tmp_path).start(net)
    first.close()
    with vc.AttentionMonitor(probe_set(), tmp_path) as second:
        second.snapshot(net, 1)
    assert steps(tmp_path) == [0, 1]


def test_forked_workers_that_outlive_a_killed_training_do_not_hold_its_folder(tmp_path):
    script = """if 1:
        import os, sys, time
        import vizcallbacks as vc
        from tests.helpers.nets import small_net
        from tests.helpers.probes import probe_set
        net = small_net()
        monitor = vc.AttentionMonitor(probe_set(), sys.argv[1])
        monitor.snapshot(net, 0)
        monitor.flush()
        child = os.fork()
        if child == 0:
            monitor.close()  # the child's copy: it does nothing
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout
        orphan = int(training.stdout.readline())
        with pytest.raises(ValueError, match="in use by another training"):
            vc.AttentionMonitor(probe_set(), tmp_path).start(small_net())
        training.send_signal(signal.SIGKILL)
        training.wait(10)
        os.kill(orphan, 0)  # it lives
        try:
            with vc.AttentionMonitor(probe_set(), tmp_path) as monitor:
                assert monitor.snapshot(small_net(), 1) is not None
        finally:
            os.kill(orphan, signal.SIGKILL)
    assert steps(tmp_path) == [0, 1]


@pytest.mark.parametrize(("end", "code"), [("", 0), ("raise KeyError('the training failed')", 1)])
def test_an_interpreter_that_exits_without_close_leaves_all_snapshots(end, code, tmp_path):
    script = f"""if 1:
        import sys
        import vizcallbacks as vc
        from tests.helpers.nets import small_net
        from tests.helpers.probes import probe_set
        net, monitor = small_net(), vc.AttentionMonitor(probe_set(), sys.argv[1])
        for step in range(4):
            monitor.snapshot(net, step)
        {end}
    """
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert steps(tmp_path) == steps_of_events(tmp_path) == [0, 1, 2, 3]


@pytest.mark.slow
def test_memory_that_runs_out_in_a_snapshot_leaves_the_training_as_it_was(tmp_path):
    """MXNet's own error, or oneDNN's, under a limit that the images alone exceed; its engine keeps none of it."""
    script = """if 1:
        import vizcallbacks.mxnet_door  # opens NumPy's newer releases to MXNet
        import logging, resource, sys, mxnet as mx
        import vizcallbacks as vc
        from tests.helpers.nets import images, small_net, state_of
        from tests.helpers.training import train
        logging.basicConfig(format="%(levelname)s %(message)s")
        net, probe = small_net(hybridize=True), vc.ProbeSet(images(64, size=256))
        train(net)
        monitor = vc.AttentionMonitor(probe, sys.argv[1], targets=None, batch_size=64, show=1)
        monitor.start(net)
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        before = state_of(net)
        resource.setrlimit(resource.RLIMIT_AS, (now + 100 * 2**20, hard))
        taken = monitor.snapshot(net, 1)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        mx.nd.waitall()
        train(net)
        mx.nd.waitall()
        monitor.close()
        print(taken, monitor.failures)
    """
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["None", "1"]), done.stderr
    assert done.stderr.count("WARNING") == len(done.stderr.splitlines()) == 1
    # the second where the memory runs out inside oneDNN
    assert "Failed to allocate CPU Memory" in done.stderr or "could not create a primitive" in done.stderr


# Nets and names out of the ordinary


def _scaled(factor):
    def spoil(net):
        net[8].weight.set_data(net[8].weight.data() * factor)

    return spoil


def _dead(net):
    """The last convolution's output is negative everywhere: no map is above zero."""
    net[4].weight.set_data(net[4].weight.data() * 0)
    net[4].bias.set_data(net[4].bias.data() * 0 - 1)


def _constant(net):
    net[8].weight.set_data(net[8].weight.data() * 0)


ODD = {"NaN": _scaled(np.nan), "infinite": _scaled(np.inf), "dead": _dead, "constant": _constant}


@pytest.mark.parametrize("oddity", ODD)
def test_odd_weights_are_pictured_and_measured_without_a_warning(oddity, tmp_path, caplog):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path, on_error="raise") as monitor:
        monitor.snapshot(net, 0)
        ODD[oddity](net)
        before = state_of(net)
        taken = [monitor.snapshot(net, step) for step in (1, 2)]
        assert state_of(net) == before
    assert (monitor.failures, caplog.records) == (0, [])
    assert steps(tmp_path) == steps_of_events(tmp_path) == [0, 1, 2]
    for snapshot in taken:
        maps = snapshot.maps["grad_cam"]
        assert (maps == 0).all() if oddity in ("dead", "constant") else not np.isfinite(maps).any()
        dead = snapshot.measures["dead"]
        assert (dead == 1).all() if oddity in ("dead", "constant") else np.isnan(dead).all()
        assert np.isnan(snapshot.measures["entropy"]).all()
        assert np.isnan(snapshot.measures["drift"]).all()


NAMES = [
    "a/b",
    "../../etc/passwd",
    "two\nlines",
    "😀",
    "x" * 10_000,
    "",
    "nul\0",
    "/root",
    "..",
    "C:\\dir",
    "%s{}",
]


def test_no_name_leaves_its_place(tmp_path):
    """Class names, image names and masks, through the whole monitor; TensorBoard and the folder show the same."""
    count = len(NAMES)
    mask = np.ones((count, 32, 32), bool)
    probe = probe_set(
        count,
        class_names=NAMES,
        names=[f"{name} {i}" for i, name in enumerate(NAMES)],
        masks={name: mask for name in NAMES if name},
    )
    run = tmp_path / "deep" / "run"
    with vc.AttentionMonitor(probe, run, on_error="raise") as monitor:
        for step in range(2):
            monitor.snapshot(small_net(classes=count), step, when=NAMES[step + 2])
    assert monitor.failures == 0
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    logs = [name for name in files if "tfevents" in name]
    kept = ["lock", "probe.npz", "report.html"]
    kept += [f"{kind}-0000000{step}.npz" for kind in ("predicted", "snapshot") for step in range(2)]
    pictures = [f"deep/run/{name}.png" for name in ("overview", "peaks")]
    assert files == sorted([*(f"deep/run/attention/{name}" for name in kept), *pictures, *logs])
    assert len(logs) == 1
    tags = {value.tag for _, value in events.values(run)}
    for tag in tags:
        group, name = tag.replace("/text_summary", "").split("/")
        assert group.startswith("attention")
        assert ".." not in (group, name)
        assert len(tag) < 150
    panels = [tag for tag in tags if tag.startswith("attention_panels/")]
    assert [int(tag.split("/")[1][:2]) for tag in sorted(panels)] == list(range(count))
    assert vc.ProbeSet.load(run / "attention" / "probe.npz").class_names == tuple(NAMES)
