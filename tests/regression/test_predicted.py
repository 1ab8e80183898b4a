"""Maps of predicted classes beside a run's snapshots: to disk and back, only those that belong to a snapshot."""

import dataclasses

import numpy as np
import pytest

from vizcallbacks import archive
from vizcallbacks.regression.predicted import load_predicted, predicted_path, save_predicted

from ..helpers.checked import at, probe_set, snapshot

PROBE = probe_set()


@pytest.fixture
def taken():
    return snapshot(at(0, 0), PROBE, step=3, predictions=[2, 1, 0, 0])


@pytest.fixture
def run(tmp_path, taken):
    (tmp_path / "attention").mkdir()
    save_predicted(tmp_path, taken, "grad_cam", {2: at(1, 1)[2], 0: at(3, 3)[0]})
    return tmp_path


def test_they_come_back_in_the_order_of_the_images(run, taken):
    found = load_predicted(run, taken)
    assert found.method == "grad_cam"
    assert found.images.tolist() == [0, 2]
    np.testing.assert_array_equal(found.maps, np.stack([at(3, 3)[0], at(1, 1)[2]]).astype(np.float32))


def test_those_of_another_step_probe_set_or_prediction_are_not_taken(run, taken):
    assert load_predicted(run, dataclasses.replace(taken, step=4)) is None
    assert load_predicted(run, dataclasses.replace(taken, digest="other")) is None
    assert load_predicted(run, dataclasses.replace(taken, predictions=np.array([2, 1, 1, 0]))) is None
    assert load_predicted(run, dataclasses.replace(taken, predictions=np.array([2, 1]))) is None


def test_a_damaged_file_is_told(run, taken):
    path = predicted_path(run, 3)
    arrays, facts = archive.read(path, "predicted maps", 1)
    for broken in ({"images": arrays["images"]}, {**arrays, "images": arrays["images"][:1]}):
        archive.write(path, "predicted maps", 1, broken, facts)
        with pytest.raises(ValueError, match="damaged"):
            load_predicted(run, taken)
    path.write_bytes(b"cut off")
    with pytest.raises(ValueError, match="damaged"):
        load_predicted(run, taken)
