"""Killed at random: at most the last snapshot taken is lost, holes are told, pictures are made up for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading

import cv2
import numpy as np
import pytest

import vizcallbacks as vc
from vizcallbacks.attribution.methods import DEFAULT_METHODS
from vizcallbacks.regression.snapshot import list_snapshots, snapshot_path, step_of
from vizcallbacks.training.album import Album
from vizcallbacks.training.run_folder import missing_steps

from ..benchmarks import kills
from ..helpers import events
from ..helpers.nets import small_net
from ..helpers.probes import probe_set
from ..helpers.processes import ENVIRONMENT, ROOT


@pytest.mark.slow
def test_ten_trainings_killed_at_random_lose_one_snapshot_each_at_most_and_tell_it(tmp_path):
    script = f"""if 1:
        import dataclasses, json, pathlib
        from tests.benchmarks.kills import run
        print(json.dumps(dataclasses.asdict(run(pathlib.Path({str(tmp_path)!r}), 10, seed=3))))
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = kills.Outcome(**json.loads(done.stdout))
    assert found.kills == sum(len(lost) for lost in found.lost.values()) == 10
    assert max(max(lost) for lost in found.lost.values()) <= 1
    assert set(found.lost.get("term, drained", [0])) == {0}
    assert (found.not_last, found.untold, found.unpictured) == (0, [], 0)


# Pictures that an earlier process did not draw


def killed_while_it_draws(run, steps):
    """A training that ends by SIGKILL while the thread that draws is held up."""
    script = f"""if 1:
        import os, signal, threading
        import vizcallbacks as vc
        from tests.helpers.nets import small_net
        from tests.helpers.probes import probe_set
        from tests.helpers.training import train
        net = small_net()
        monitor = vc.AttentionMonitor(probe_set(), {str(run)!r}, image_format="png", on_error="raise")
        monitor.snapshot(net, 0)
        assert monitor.flush(60)
        monitor._journal._pictures.submit(lambda sink: threading.Event().wait())
        for step in range(1, {steps}):
            train(net)
            monitor.snapshot(net, step)
        assert monitor._journal.log.flush(60)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=ENVIRONMENT, timeout=120)
    assert done.returncode == -signal.SIGKILL


def panel_steps(run):
    return {
        tag: [step for step, _ in shown]
        for tag, shown in events.pictures(run).items()
        if tag.startswith("attention_panels/")
    }


def curve_steps(run, tag):
    return [step for step, value in events.values(run) if value.tag == tag]


@pytest.mark.slow
def test_files_and_curves_wait_for_no_picture_of_any_snapshot(tmp_path):
    killed_while_it_draws(tmp_path, 4)
    assert [step_of(path) for path in list_snapshots(tmp_path)] == [0, 1, 2, 3]
    assert curve_steps(tmp_path, "attention_mean/score") == [0, 1, 2, 3]
    assert list(panel_steps(tmp_path).values()) == [[0]] * 3


@pytest.mark.slow
def test_the_next_training_draws_them_from_the_files_before_its_own(tmp_path, caplog):
    killed_while_it_draws(tmp_path, 4)
    with vc.AttentionMonitor(probe_set(), tmp_path, image_format="png", on_error="raise") as monitor:
        monitor.snapshot(small_net(), 4)
    assert (monitor.failures, caplog.records) == (0, [])
    assert list(panel_steps(tmp_path).values()) == [[0, 1, 2, 3, 4]] * 3
    assert curve_steps(tmp_path, "attention_mean/score") == [0, 1, 2, 3, 4]
    # they are those that would have been drawn, of the map that the file holds
    snapshots = [vc.Snapshot.load(path) for path in list_snapshots(tmp_path)[:4]]
    album = Album(probe_set(), DEFAULT_METHODS, show=12)
    expected = {}

    class Sink:
        def image(self, tag, picture, step):
            expected[tag, step] = picture

        def scalar(self, tag, value, step, description):
            pass

        def text(self, tag, text, step):
            pass

    for snapshot in snapshots:
        for job in album.add(snapshot, {"grad_cam": snapshot.maps["grad_cam"]}):
            job(Sink())
    for tag, shown in events.pictures(tmp_path).items():
        for step, data in shown:
            if 0 < step < 4 and tag.startswith("attention_panels/"):
                drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
                np.testing.assert_array_equal(drawn, expected[tag, step])


@pytest.mark.slow
def test_a_run_without_event_files_gets_its_newest_pictures_back(tmp_path):
    with vc.AttentionMonitor(probe_set(), tmp_path, show=1) as monitor:
        for step in range(30):
            monitor.snapshot(small_net(), step)
    for path in tmp_path.glob("*tfevents*"):
        path.unlink()
    with vc.AttentionMonitor(probe_set(), tmp_path, show=1) as monitor:
        monitor.snapshot(small_net(), 30)
    assert list(panel_steps(tmp_path).values()) == [list(range(6, 31))]  # 24, and its own
    assert curve_steps(tmp_path, "attention_mean/score") == list(range(31))


# Holes


@pytest.mark.parametrize(
    ("steps", "next_step", "told"),
    [
        ([0, 1, 2, 3], 4, ""),
        ([0, 1, 2, 3], 5, "step 4;"),
        (list(range(12)), 15, "steps 12 to 14;"),
        ([0, 1, 2, 5, 6, 7, 8, 9, 10, 11], 12, "steps 3 to 4;"),
        ([0, 5, 10, 15], 30, r"steps 20 to 25 \(every 5\);"),
        ([0, 100, 200, 300, 400, 450, 500], 600, ""),  # and at the end of each epoch
        ([0, 2, 3, 4, 6, 8, 9, 10, 12], 14, ""),
        ([0, 2, 3, 4, 6, 8, 9, 10, 12], 20, "between steps 12 and 20;"),
        ([], 7, ""),
        (
            [step for step in range(91) if step % 10 != 5 and step % 7],
            91,
            "8 earlier ones, step 45, step 49, steps 55 to 56, step 63, step 65, step 70, step 75, step 77, "
            "steps 84 to 85;",
        ),
        ([3], 7, ""),  # nothing tells how far apart they are
    ],
)
def test_holes_are_told_by_the_usual_distance(steps, next_step, told):
    found = missing_steps(steps, next_step)
    if not told:
        assert found == ""
    else:
        assert re.search(f"snapshots are missing: {told} an earlier process did not write them$", found)


def test_a_resumed_training_tells_which_snapshots_are_missing(tmp_path, caplog):
    net = small_net()
    with vc.AttentionMonitor(probe_set(), tmp_path, show=1) as monitor:
        for step in range(6):
            monitor.snapshot(net, step)
    snapshot_path(tmp_path, 2).unlink()
    with vc.AttentionMonitor(probe_set(), tmp_path, show=1) as monitor:
        monitor.snapshot(net, 9)
    (record,) = caplog.records
    assert "snapshots are missing: step 2, steps 6 to 8; an earlier process" in record.getMessage()


# drain_on


def signalled(tmp_path, before, then="time.sleep(60)"):
    """A training that sends itself SIGTERM with four snapshots pending; (exit code, what it printed)."""
    script = f"""if 1:
        import os, signal, sys, time
        import vizcallbacks as vc
        from tests.helpers.nets import small_net
        from tests.helpers.probes import probe_set
        net = small_net()
        {before}
        monitor = vc.AttentionMonitor(probe_set(), {str(tmp_path)!r}, drain_on=signal.SIGTERM)
        monitor.start(net)
        monitor._journal.log.submit(lambda sink: time.sleep(0.5))
        for step in range(4):
            monitor.snapshot(net, step)
        os.kill(os.getpid(), signal.SIGTERM)
        {then}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_on_the_signal_what_is_pending_is_written_and_the_process_ends_by_it(tmp_path):
    code, _, _ = signalled(tmp_path, "")
    assert code == -signal.SIGTERM
    assert [step_of(path) for path in list_snapshots(tmp_path)] == [0, 1, 2, 3]
    assert list(panel_steps(tmp_path).values()) == [[0, 1, 2, 3]] * 3


def test_the_handler_that_was_there_before_acts_then_and_is_put_back(tmp_path):
    count = "sum(name.startswith('snapshot') for name in os.listdir(monitor.run / 'attention'))"
    before = f"mine = signal.signal(signal.SIGTERM, lambda *_: print('mine', {count})) or 0"
    then = "monitor.close(); os.kill(os.getpid(), signal.SIGTERM); print(monitor.failures)"
    code, printed, log = signalled(tmp_path, before, then)
    assert (code, printed.split()) == (0, ["mine", "4", "mine", "4", "0"]), log


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    code, printed, log = signalled(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "print('on')")
    assert (code, printed) == (0, "on"), log


def test_without_drain_on_no_handler_is_installed(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with vc.AttentionMonitor(probe_set(), tmp_path) as monitor:
        monitor.start(small_net())
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [0, -1, 99, True, "SIGTERM", signal.SIGKILL, signal.SIGSTOP])
def test_what_is_no_signal_to_be_handled_is_refused(number, tmp_path):
    with pytest.raises(
        ValueError, match="drain_on must be a signal that can be handled, such as signal.SIGTERM"
    ):
        vc.AttentionMonitor(probe_set(), tmp_path, drain_on=number)


def test_outside_the_main_thread_drain_on_is_refused_before_anything_is_taken(tmp_path):
    raised = []

    def start():
        try:
            vc.AttentionMonitor(probe_set(), tmp_path, drain_on=signal.SIGTERM).start(small_net())
        except ValueError as error:
            raised.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "drain_on needs the main thread" in raised[0]
    assert os.listdir(tmp_path) == []
