"""What a disk does to the log it does not do to the training: provoked for real, read back by TensorBoard."""

import contextlib
import functools
import gc
import logging
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

from vizcallbacks.tensorboard.event_file import check_logdir
from vizcallbacks.tensorboard.event_log import EventLog, Sink, clean_label, clean_tag

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def read(folder):
    reader = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    reader.Reload()
    return reader


def steps(folder, tag="a"):
    reader = read(folder)
    return [e.step for e in reader.Scalars(tag)] if tag in reader.Tags()["scalars"] else []


def decoded(image):
    return cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def scalar(step, tag="a"):
    return lambda sink: sink.scalar(tag, step, step)


def event_files(folder):
    return sorted(name for name in os.listdir(folder) if "tfevents" in name)


def wait_for_the_thread():
    for thread in threading.enumerate():
        if thread.name == "vizcallbacks-eventlog":
            thread.join(10)
            assert not thread.is_alive()


def threads_and_files():
    """(this process's threads, (descriptor, path) of its open files)."""
    files = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself is closed by now
            files.add((descriptor, os.readlink(f"/proc/self/fd/{descriptor}")))
    return set(threading.enumerate()), files


def run(script, *arguments, prefix=(), timeout=60):
    """The finished process of a Python script; the time limit is what "does not hang" means here."""
    command = [*prefix, sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.run(command, env=environment, timeout=timeout, capture_output=True, text=True)


@pytest.fixture
def warnings_of(caplog):
    caplog.set_level(logging.INFO, logger="vizcallbacks.tensorboard.event_log")
    return lambda: [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# What is written


def test_scalars_pictures_and_texts_are_read_back_exactly(tmp_path):
    before = time.time()
    with EventLog(tmp_path / "new" / "run") as log:
        log.submit(lambda sink: sink.scalar("attention/01_cat", 0.625, 7))
        log.submit(lambda sink: sink.image("attention/01_cat", PICTURE, 7))
        log.submit(lambda sink: sink.text("note", "as **is**", 7))
        assert log.flush()
        reader = read(tmp_path / "new" / "run")  # flush is enough: the log is still open
    (point,) = reader.Scalars("attention/01_cat")
    assert (point.step, point.value) == (7, 0.625)
    assert before <= point.wall_time <= time.time()
    (image,) = reader.Images("attention/01_cat")
    np.testing.assert_array_equal(decoded(image), PICTURE)
    assert (image.step, image.height, image.width) == (7, 4, 6)
    (text,) = reader.Tensors("note/text_summary")
    assert text.tensor_proto.string_val[0] == b"as **is**"


def test_the_given_encoder_makes_the_bytes_in_the_writer_thread(tmp_path):
    threads = []

    def encode(picture):
        threads.append(threading.current_thread())
        return b"encoded %d" % picture.sum()

    with EventLog(tmp_path, encode=encode) as log:
        log.submit(lambda sink: sink.image("a", PICTURE, 3))
    (image,) = read(tmp_path).Images("a")
    assert image.encoded_image_string == b"encoded %d" % PICTURE.sum()
    assert (image.height, image.width) == (4, 6)
    assert threads[0] is not threading.current_thread()


def test_undefined_scalars_are_left_out_and_infinite_ones_kept(tmp_path):
    with EventLog(tmp_path) as log:
        for step, value in enumerate([1.0, None, float("nan"), np.float32("nan"), float("inf")]):
            log.submit(functools.partial(Sink.scalar, tag="a", value=value, step=step))
    assert steps(tmp_path) == [0, 4]
    assert log.dropped == 0


def test_events_carry_the_time_of_their_submission(tmp_path):
    go = threading.Event()
    with EventLog(tmp_path) as log:
        log.submit(lambda sink: go.wait(30))
        before = time.time()
        log.submit(scalar(1))
        after = time.time()
        time.sleep(0.1)
        go.set()
    (point,) = read(tmp_path).Scalars("a")
    assert before <= point.wall_time <= after


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("attention/01_cat", "attention/01_cat"),
        ("a b\nc\té😀", "a_b_c___"),
        ("//x", "x"),
        ("-_./A9", "-_./A9"),
    ],
)
def test_tags_hold_only_letters_digits_and_four_signs(text, tag):
    assert clean_tag(text) == tag


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cat", "cat"),
        ("../../etc/passwd", "___.._etc_passwd"),
        ("/root", "_root"),
        (".hidden", "_hidden"),
        ("...", "___"),
        ("v1.5", "v1.5"),
        ("a\\b\n😀", "a_b__"),
        ("x" * 10_000, "x" * 40),
        ("", ""),
    ],
)
def test_labels_cannot_leave_their_place(text, label):
    assert clean_label(text) == label


def test_a_label_keeps_to_the_given_length():
    assert clean_label("abcdef", limit=3) == "abc"


# The user's own writer


def test_the_users_writer_gets_the_same_and_stays_open(tmp_path):
    writer = SummaryWriter(str(tmp_path))
    with EventLog(writer) as log:
        log.submit(scalar(2))
        log.submit(lambda sink: sink.image("a", PICTURE, 2))
        log.submit(lambda sink: sink.text("note", "hello", 2))
    writer.add_scalar("a", 3.0, 3)
    writer.close()
    reader = read(tmp_path)
    assert [(e.step, e.value) for e in reader.Scalars("a")] == [(2, 2.0), (3, 3.0)]
    decoded = cv2.imdecode(
        np.frombuffer(reader.Images("a")[0].encoded_image_string, np.uint8), cv2.IMREAD_COLOR
    )
    np.testing.assert_array_equal(decoded[..., ::-1], PICTURE)
    assert reader.Tags()["tensors"] == ["note/text_summary"]


def test_a_writer_that_never_answers_holds_up_only_the_logs_thread(warnings_of):
    class Stuck:
        begun, release = threading.Event(), threading.Event()

        def add_scalar(self, *_, **__):
            self.begun.set()
            self.release.wait(30)

        def flush(self):
            pass

    log = EventLog(Stuck(), max_pending=2, wait_seconds=0.3).open()
    log.submit(scalar(0))
    assert Stuck.begun.wait(30)
    began = time.monotonic()
    for step in range(1, 50):
        log.submit(scalar(step))
    assert not log.flush(timeout=0.1)
    assert not log.close(timeout=0.1)
    assert time.monotonic() - began < 5  # 0.3 s of waiting once, not 47 times
    assert log.dropped == 47  # one in work, two in the queue
    assert len(warnings_of()) == 2  # slower than training; not all written
    Stuck.release.set()
    wait_for_the_thread()


# Arguments are refused at once


def test_a_file_where_the_folder_should_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ValueError, match=r"must be a folder .*file.* is no folder; give another path"):
            EventLog(target)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_dangling_link_is_refused_at_once(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is no folder"):
        check_logdir(tmp_path / "link")


def test_an_unwritable_folder_is_refused_at_once():
    """As another user where the tests run as root, who may write everywhere."""
    script = """if 1:
        import os, sys
        from vizcallbacks.tensorboard.event_log import EventLog
        if os.getuid() == 0:
            os.setuid(65534)
        folder = sys.argv[1]
        os.mkdir(folder + "/open")
        log = EventLog(folder + "/open/run")  # may be written now, but not when it is opened
        for closed in ("closed", "open"):
            os.makedirs(folder + "/" + closed, exist_ok=True)
            os.chmod(folder + "/" + closed, 0o500)
        attempts = [lambda: EventLog(folder + "/closed"), lambda: EventLog(folder + "/closed/a/b"), log.open]
        for attempt in attempts:
            try:
                attempt()
            except ValueError as error:
                print(error)
    """
    with tempfile.TemporaryDirectory() as folder:  # tmp_path cannot be entered by another user
        os.chmod(folder, 0o777)
        done = run(script, folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("must be a folder of this machine that can be written" in line for line in lines)
    assert "read-only to you" in lines[0]
    assert "Permission denied" in lines[2]


def test_a_log_folder_on_remote_storage_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="give a SummaryWriter"):
        EventLog("s3://bucket/run")


def test_the_constructor_makes_nothing(tmp_path):
    EventLog(tmp_path / "run")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bad", [{"max_pending": 0}, {"wait_seconds": -1.0}, {"close_seconds": float("nan")}])
def test_numbers_out_of_range_are_refused(tmp_path, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        EventLog(tmp_path, **bad)


def test_a_log_takes_jobs_only_while_it_is_open(tmp_path):
    log = EventLog(tmp_path)
    with pytest.raises(RuntimeError, match=r"call open\(\) first"):
        log.submit(scalar(0))
    assert not log.flush()
    assert not log.close()
    log.open()
    assert log.close()
    log.close()
    with pytest.raises(RuntimeError, match="must be open"):
        log.submit(scalar(0))
    with pytest.raises(RuntimeError, match="opened once"):
        log.open()


# Faults of jobs


def test_a_failing_job_warns_once_and_later_jobs_go_on(tmp_path, warnings_of):
    with EventLog(tmp_path) as log:
        for step in range(3):
            log.submit(lambda sink: 1 // 0)
            log.submit(scalar(step))
        log.submit(lambda sink: sink.image("a", PICTURE.astype(np.float32), 0))
    assert steps(tmp_path) == [0, 1, 2]
    assert log.dropped == 4
    zero, dtype = warnings_of()
    assert "ZeroDivisionError" in zero
    assert "must be (H, W, 3) uint8" in dtype


def test_a_full_queue_waits_then_drops_and_counts(tmp_path, warnings_of):
    go = threading.Event()
    log = EventLog(tmp_path, max_pending=4, wait_seconds=0.2).open()
    log.submit(lambda sink: go.wait(30))
    began = time.monotonic()
    taken = [log.submit(scalar(step)) for step in range(20)]
    waited = time.monotonic() - began
    go.set()
    assert log.flush(10)
    assert log.submit(scalar(100))  # there is room again
    assert log.close()
    assert 0.2 <= waited < 2
    assert steps(tmp_path) == [step for step in range(20) if taken[step]] + [100]
    assert 4 <= sum(taken) <= 5  # the queue holds four; the first job may have left it by then
    assert log.dropped == 20 - sum(taken)
    assert len(warnings_of()) == 1


def test_a_slow_disk_slows_the_hand_over_down_before_anything_is_dropped(tmp_path):
    with EventLog(tmp_path, max_pending=2, wait_seconds=10.0) as log:
        for step in range(10):
            log.submit(lambda sink: time.sleep(0.02))
            log.submit(scalar(step))
    assert steps(tmp_path) == list(range(10))
    assert log.dropped == 0


def test_the_arrays_of_a_finished_job_are_let_go(tmp_path):
    with EventLog(tmp_path) as log:
        picture = PICTURE.copy()
        gone = weakref.ref(picture)
        log.submit(functools.partial(Sink.image, tag="a", picture=picture, step=0))
        assert log.flush()
        del picture
        gc.collect()
        assert gone() is None


def test_hundreds_of_jobs_leave_one_thread_and_one_open_file(tmp_path):
    before = threads_and_files()

    def new():  # what earlier tests left may end at any moment: that does not count
        return [len(now - then) for now, then in zip(threads_and_files(), before)]

    with EventLog(tmp_path) as log:
        assert new() == [1, 1]
        for step in range(300):
            log.submit(scalar(step))
        assert log.flush()
        assert new() == [1, 1]
    wait_for_the_thread()
    assert new() == [0, 0]


# Faults of disks

FULL_DISK = """if 1:
    import logging, os, resource, sys, time
    import numpy as np
    from vizcallbacks.tensorboard.event_log import EventLog
    folder, kind = sys.argv[1:]
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    if kind == "rlimit":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)  # 12 kB as PNG
    log = EventLog(folder, retry_seconds=0.5).open()
    for step in range(40):
        log.submit(lambda sink, step=step: sink.image("full", noise, step))
    began = time.monotonic()
    print("flush", log.flush(20))
    log.submit(lambda sink: sink.scalar("a", 1.0, 1))
    log.flush(20)
    if kind == "rlimit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        os.unlink(folder + "/filler")
    time.sleep(0.6)
    log.submit(lambda sink: sink.scalar("a", 2.0, 2))
    print("room", log.flush(20))
    print("close", log.close(20), log.dropped, time.monotonic() - began < 20)
"""


def on_a_full_disk(folder, copies):
    """The script on a tiny disk of its own, or, where none may be mounted, under a limit of the file size."""
    mount = f"mount -t tmpfs -o size=256k tmpfs {folder} && head -c 100k /dev/zero > {folder}/filler"
    for unshare in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        tried = shutil.which("unshare") and subprocess.run([*unshare, "sh", "-c", mount], capture_output=True)
        if tried and tried.returncode == 0:
            shell = f'{mount} && "$@"; code=$?; cp {folder}/*tfevents* {copies}; exit $code'
            return run(FULL_DISK, folder, "tmpfs", prefix=[*unshare, "sh", "-c", shell, "sh"])
    return run_under_a_size_limit(folder, copies)


def run_under_a_size_limit(folder, copies):
    done = run(FULL_DISK, folder, "rlimit")
    for name in event_files(folder):
        shutil.copy(folder / name, copies)
    return done


@pytest.mark.parametrize("way", [on_a_full_disk, run_under_a_size_limit])
def test_a_full_disk_warns_once_drops_and_goes_on_when_there_is_room(tmp_path, way):
    disk, copies = tmp_path / "disk", tmp_path / "copies"
    disk.mkdir()
    copies.mkdir()
    done = way(disk, copies)
    assert done.returncode == 0, done.stderr
    flush, room, close = done.stdout.splitlines()
    assert flush == "flush False"
    assert room == "room True"
    closed, dropped, in_time = close.split()[1:]
    assert (closed, in_time) == ("True", "True")
    assert done.stderr.count("WARNING") == 1
    assert "is written again" in done.stderr
    reader = read(copies)
    kept = [e.step for e in reader.Images("full")]
    assert kept == list(range(len(kept)))
    assert 5 <= len(kept) < 40
    for image in reader.Images("full"):  # all kept pictures are whole
        assert decoded(image).shape == (64, 64, 3)
    scalars = steps(copies)
    assert scalars[-1] == 2
    assert int(dropped) == 40 - len(kept) + (2 - len(scalars))


def test_a_process_on_a_full_disk_exits_without_close(tmp_path):
    script = """if 1:
        import resource, sys
        from vizcallbacks.tensorboard.event_log import EventLog
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        log = EventLog(sys.argv[1]).open()
        for step in range(500):
            log.submit(lambda sink, step=step: sink.scalar("a", step, step))
    """
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("failed") == 1
    kept = steps(tmp_path)
    assert kept == list(range(len(kept)))
    assert len(kept) > 20


def test_a_folder_deleted_in_mid_run_warns_once_and_is_not_made_again(tmp_path, warnings_of):
    folder = tmp_path / "run"
    log = EventLog(folder, retry_seconds=0.0).open()
    log.submit(scalar(0))
    assert log.flush()
    shutil.rmtree(folder)
    for step in range(1, 4):
        log.submit(scalar(step))
        assert not log.flush(10)
    assert log.dropped == 3
    assert not folder.exists()
    folder.mkdir()
    log.submit(scalar(4))
    assert log.close()
    assert steps(folder) == [4]
    (warning,) = warnings_of()
    assert "the event file was deleted" in warning


def test_errors_of_the_system_in_jobs_share_the_one_warning(tmp_path, warnings_of):
    with EventLog(tmp_path / "run") as log:
        for step in range(3):
            log.submit(lambda sink: (tmp_path / "no" / "folder").write_bytes(b""))
            log.submit(scalar(step))
    assert len(warnings_of()) == 1
    assert log.dropped == 3
    assert steps(tmp_path / "run") == [0, 1, 2]


def test_two_logs_of_the_same_second_and_folder_overwrite_nothing(tmp_path):
    logs = [EventLog(tmp_path).open() for _ in range(8)]
    for step, log in enumerate(logs):
        log.submit(scalar(step))
    assert [log.close() for log in logs] == [True] * 8
    assert len(event_files(tmp_path)) == 8
    assert sorted(steps(tmp_path)) == list(range(8))


def test_the_suffix_ends_the_file_name_and_cannot_leave_the_folder(tmp_path):
    EventLog(tmp_path, filename_suffix="/../../x").open().close()
    (name,) = event_files(tmp_path)
    assert name.endswith("_.._.._x")


# Ends of processes


def test_an_interpreter_that_exits_without_close_writes_what_is_pending(tmp_path):
    script = """if 1:
        import sys, time
        from vizcallbacks.tensorboard.event_log import EventLog
        log = EventLog(sys.argv[1]).open()
        log.submit(lambda sink: time.sleep(0.3))
        for step in range(30):
            log.submit(lambda sink, step=step: sink.scalar("a", step, step))
        raise KeyError("the training failed")
    """
    done = run(script, tmp_path)
    assert done.returncode == 1
    assert "the training failed" in done.stderr
    assert steps(tmp_path) == list(range(30))


def test_an_interpreter_exits_in_time_though_the_disk_never_answers(tmp_path):
    script = """if 1:
        import sys, time
        from vizcallbacks.tensorboard.event_log import EventLog
        log = EventLog(sys.argv[1], close_seconds=0.5).open()
        log.submit(lambda sink: time.sleep(600))
        log.submit(lambda sink: None)
    """
    done = run(script, tmp_path, timeout=30)
    assert done.returncode == 0
    assert "took too long" in done.stderr


def test_after_kill_9_all_that_was_flushed_is_readable(tmp_path):
    script = """if 1:
        import itertools, sys
        import numpy as np
        from vizcallbacks.tensorboard.event_log import EventLog
        log = EventLog(sys.argv[1]).open()
        picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
        for step in itertools.count():
            log.submit(lambda sink, step=step: (sink.image("b", picture, step), sink.scalar("a", step, step)))
            if step % 5 == 4 and log.flush():
                print(step, flush=True)
    """
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": ROOT}, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        for _ in range(4):
            flushed = int(child.stdout.readline())
        time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
    kept = steps(tmp_path)
    assert kept == list(range(len(kept)))
    assert len(kept) > flushed == 19


def test_a_forked_child_neither_writes_nor_hangs(tmp_path):
    script = """if 1:
        import os, sys, time
        from vizcallbacks.tensorboard.event_log import EventLog
        log = EventLog(sys.argv[1], max_pending=8).open()
        def slowly(sink):  # the fork happens between its two records
            sink.scalar("a", 0, 0)
            time.sleep(0.5)
            sink.scalar("a", 1, 1)
        log.submit(slowly)
        for step in range(2, 9):
            log.submit(lambda sink, step=step: sink.scalar("a", step, step))
        time.sleep(0.1)
        child = os.fork()
        if child == 0:
            answers = [log.submit(lambda sink: sink.scalar("child", 0, 0)), log.flush(), log.close()]
            sys.exit(7 if answers == [False] * 3 else 8)  # with its atexit functions and collected objects
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        log.submit(lambda sink: sink.scalar("a", 9, 9))
        print(code, log.close(), log.dropped)
    """
    done = run(script, tmp_path, timeout=30)
    assert done.stdout.split() == ["7", "True", "0"], done.stderr
    assert steps(tmp_path) == list(range(10))
    assert steps(tmp_path, "child") == []
    assert len(event_files(tmp_path)) == 1


def test_the_random_streams_do_not_move(tmp_path):
    before = random.getstate(), pickle.dumps(np.random.get_state())
    with EventLog(tmp_path) as log:
        log.submit(lambda sink: sink.image("a", PICTURE, 0))
    assert (random.getstate(), pickle.dumps(np.random.get_state())) == before
