"""Which files are checkpoints of which steps, and whether they are whole."""

import struct

import mxnet as mx
import numpy as np
import pytest

from vizcallbacks.training.checkpoints import find_checkpoints, read_stored

from ..helpers.checkpoints import on_gpu


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def steps(places, **more):
    return [(one.step, one.path.rsplit("/")[-1]) for one in find_checkpoints(places, **more)]


def test_a_checkpoint_handlers_epochs_count_from_zero(tmp_path):
    """`epoch0batch10` is written after the first epoch; "-best" is a copy, and other files are none."""
    names = ("m-epoch0batch10", "m-epoch10batch110", "m-epoch2batch30")
    touch(
        tmp_path,
        *(f"{name}.params" for name in names),
        "m-epoch0batch10.states",
        "m-symbol.json",
        "m-best.params",
    )
    assert steps(tmp_path) == [
        (1, "m-epoch0batch10.params"),
        (3, "m-epoch2batch30.params"),
        (11, "m-epoch10batch110.params"),
    ]


def test_where_an_epoch_has_several_checkpoints_steps_are_batches(tmp_path):
    touch(tmp_path, "m-epoch0batch9.params", "m-epoch0batch19.params", "m-epoch1batch29.params")
    assert [step for step, _ in steps(tmp_path)] == [10, 20, 30]


def test_exports_and_gluoncvs_names_tell_their_epochs(tmp_path):
    touch(tmp_path / "a", "net-0000.params", "net-0012.params", "net-12345.params")
    assert [step for step, _ in steps(tmp_path / "a")] == [0, 12, 12345]
    touch(
        tmp_path / "b",
        "0.7103-imagenet-resnet18_v1-9-best.params",
        "0.7612-imagenet-resnet18_v1-113-best.params",
    )
    assert [step for step, _ in steps(str(tmp_path / "b"))] == [10, 114]


def test_a_pattern_of_ones_own_tells_the_step(tmp_path):
    touch(tmp_path, "weights_step40_loss0.3.params", "weights_step5_loss0.7.params")
    assert [step for step, _ in steps(tmp_path, step_from=r"step(\d+)")] == [5, 40]


def test_only_every_nth_step_is_taken(tmp_path):
    touch(tmp_path, *(f"m-{i:04d}.params" for i in range(1, 11)))
    assert [step for step, _ in steps(tmp_path, every=4)] == [4, 8]


def test_files_are_taken_from_several_places_each_once(tmp_path):
    touch(tmp_path, "m-0001.params", "m-0002.params")
    assert len(steps([tmp_path / "m-0002.params", tmp_path])) == 2


@pytest.mark.parametrize(
    ("names", "more", "message"),
    [
        (
            ["a.params", "b-0001.params"],
            {},
            r"each checkpoint must have a name that tells .*--step-from.*a.params'$",
        ),
        (
            ["a-0003.params", "b-0003.params"],
            {},
            r"got step 3: '.*a-0003.params', '.*b-0003.params'; give those",
        ),
        (["a-0003.params"], {"step_from": "x("}, r"must be a regular expression, got 'x\('"),
        (["a-0003.params"], {"step_from": "a"}, r"must have one group, such as 'step\(\\d\+\)', got 'a'"),
        (["a-0003.params"], {"step_from": "step(.*)"}, r"finds a whole number in; got '.*a-0003.params'"),
        (["a-0003.params"], {"every": 0}, "every must be an int of at least 1"),
    ],
)
def test_names_that_tell_no_step_are_listed(tmp_path, names, more, message):
    with pytest.raises(ValueError, match=message):
        find_checkpoints(touch(tmp_path, *names), **more)


def test_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(OSError, match="there must be checkpoints in"):
        find_checkpoints(tmp_path)
    with pytest.raises(OSError, match="is not there; check the path"):
        find_checkpoints(tmp_path / "none.params")


# Bytes


def saved(path):
    arrays = {"0.weight": mx.nd.ones((2, 3)), "1.bias": mx.nd.zeros((4,), dtype="float16")}
    mx.nd.save(str(path), arrays)
    return path


def test_a_files_names_and_shapes_are_read_without_its_numbers(tmp_path):
    stored = read_stored(str(saved(tmp_path / "a.params")))
    assert stored.shapes == {"0.weight": (2, 3), "1.bias": (4,)}
    assert not stored.is_from_gpu


def test_files_of_numpy_arrays_with_scalars_are_read(tmp_path):
    with mx.util.np_shape(True), mx.util.np_array(True):
        mx.npx.save(
            str(tmp_path / "a.params"),
            {"w": mx.np.ones((2, 3)), "s": mx.np.array(3.0), "e": mx.np.ones((0, 2))},
        )
    assert read_stored(str(tmp_path / "a.params")).shapes == {"w": (2, 3), "s": (), "e": (0, 2)}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int32", "int8", "int64"])
def test_every_type_of_numbers_has_its_size(tmp_path, dtype):
    mx.nd.save(str(tmp_path / "a.params"), {"w": mx.nd.ones((3, 5), dtype=dtype)})
    assert read_stored(str(tmp_path / "a.params")).shapes == {"w": (3, 5)}


def test_a_gpus_file_is_recognised(tmp_path):
    path = on_gpu(saved(tmp_path / "a.params"))
    assert read_stored(str(path)).is_from_gpu
    assert mx.nd.load(str(path))["0.weight"].asnumpy().tolist() == np.ones((2, 3)).tolist()  # MXNet takes it


def test_every_beginning_of_a_file_is_not_whole(tmp_path):
    data = saved(tmp_path / "a.params").read_bytes()
    for length in range(len(data)):
        (tmp_path / "part.params").write_bytes(data[:length])
        with pytest.raises(
            ValueError, match=r"part.params' is no whole checkpoint \(.*\); it is damaged or still"
        ):
            read_stored(str(tmp_path / "part.params"))


def test_foreign_and_hostile_files_are_refused_quickly(tmp_path):
    data = bytearray(saved(tmp_path / "a.params").read_bytes())
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        spoilt = bytearray(data)
        spoilt[int(random.integers(0, len(data)))] = int(random.integers(0, 256))
        (tmp_path / "a.params").write_bytes(spoilt)
        try:
            read_stored(str(tmp_path / "a.params"))
        except ValueError:  # and nothing else
            refused += 1
    assert refused > 30
    for content in (b"", b"no parameters" * 9, struct.pack("<QQQ", 0x112, 0, 2**63), bytes(data) + b"x"):
        (tmp_path / "a.params").write_bytes(content)
        with pytest.raises(ValueError, match="is no whole checkpoint"):
            read_stored(str(tmp_path / "a.params"))
