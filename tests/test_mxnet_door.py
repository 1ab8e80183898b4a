"""The door to MXNet: it and GluonCV run beside any NumPy below 2, which stays as it is, and warn of nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from vizcallbacks import mxnet_door
from vizcallbacks.mxnet_door import OLD_NAMES, READERS, gluoncv_model_zoo, mx

ROOT = Path(__file__).parents[1]


def python(code):
    """Run code in a new interpreter where every warning is an error."""
    line = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_numpy_and_the_filters_of_warnings_are_as_they_were_before():
    python(
        """
import sys, warnings, numpy, numpy._core, numpy.testing, numpy.typing
before, filters = dict(vars(numpy)), list(warnings.filters)
from vizcallbacks.mxnet_door import OLD_NAMES, gluoncv_model_zoo
gluoncv_model_zoo()
assert {"mxnet", "gluoncv"} <= set(sys.modules)
assert vars(numpy) == before, set(vars(numpy)) ^ set(before)
assert not set(OLD_NAMES) & set(vars(numpy))
assert warnings.filters == filters
""".replace("numpy._core, ", "" if np.__version__ < "1.26" else "numpy._core, ")
    )


def test_names_that_a_program_gave_numpy_itself_stay():
    python("""
import numpy
numpy.bool = mine = type("Mine", (int,), {})
from vizcallbacks.mxnet_door import mx
assert numpy.bool is mine and "float" not in vars(numpy)
""")


def test_numpy_is_as_before_after_an_import_that_fails(monkeypatch):
    before = dict(vars(np))
    monkeypatch.setitem(sys.modules, "broken", None)
    with pytest.raises(ImportError, match="broken"), mxnet_door._old_names():
        import broken  # noqa: F401
    assert vars(np) == before


def test_the_modules_that_read_old_names_when_they_run_are_those_in_the_table():
    gluoncv_model_zoo()
    found = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("mxnet", "gluoncv") and getattr(module, "__file__", None):
            read = _read_in_functions(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
            numpys = {one for one in read if getattr(module, one, None) in (np, mxnet_door._NUMPY)}
            if numpys:
                (found[name],) = numpys
    assert found == READERS


def _read_in_functions(tree):
    """Names of which a function reads an attribute called as one of the old names."""
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]
    return {
        node.value.id
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in OLD_NAMES
    }


def test_the_namespace_is_numpy_with_the_old_names():
    namespace = sys.modules["mxnet.numpy.multiarray"]._np
    assert namespace.zeros is np.zeros
    assert namespace.bool is bool
    with pytest.raises(AttributeError, match="has no attribute 'zeroes'"):
        namespace.zeroes  # noqa: B018


@pytest.mark.filterwarnings(
    "ignore:ndarray.as_in_context:DeprecationWarning"
)  # MXNet of itself, on any NumPy
@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (np.array([True, False, True]), [1, 3]),
        (mx.np.array([True, False, True], dtype=bool), [1, 3]),
        ([True, False, True], [1, 3]),
        (np.array([2, 0]), [3, 1]),
        (mx.np.array([2, 0], dtype="int32"), [3, 1]),
        (True, [[1, 2, 3]]),
    ],
    ids=["bools", "MXNet's bools", "list of bools", "numbers", "MXNet's numbers", "True"],
)
def test_an_array_is_indexed_by_bools_and_by_other_arrays(key, chosen):
    assert mx.np.array([1, 2, 3])[key].asnumpy().tolist() == chosen


def test_functions_of_mxnet_that_read_old_names_run():
    assert mx.np.full((2,), True).asnumpy().tolist() == [True, True]
    assert mx.np.full((2,), True).dtype == np.bool_
    mx.test_utils.assert_almost_equal(np.array([1.0]), np.array([1.0]))
    buckets, probabilities = mx.test_utils.gen_buckets_probs_with_ppf(lambda share: share, 4)
    draw = np.random.default_rng(0).uniform
    mx.test_utils.verify_generator(lambda size: draw(size=size), buckets, probabilities, nsamples=10000)


def test_arrays_of_mxnet_are_made_of_numpys_and_of_sparse_ones_of_scipy():
    dense = np.array([[0.0, 2.0], [0.0, 0.0]], np.float32)
    assert mx.nd.array(dense).asnumpy().tolist() == dense.tolist()
    for sparse in (scipy.sparse.csr_matrix(dense), mx.nd.sparse.csr_matrix(dense).asscipy()):
        array = mx.nd.sparse.array(sparse)
        assert array.stype == "csr"
        assert array.asnumpy().tolist() == dense.tolist()


def test_transforms_anchors_and_nets_of_gluoncv_run():
    zoo = gluoncv_model_zoo()
    import gluoncv

    picture = mx.nd.array(np.random.default_rng(0).integers(0, 256, (60, 80, 3)), dtype="uint8")
    presets = gluoncv.data.transforms.presets
    assert presets.imagenet.transform_eval(picture).shape == (1, 3, 224, 224)
    for task in (presets.ssd, presets.rcnn, presets.yolo):
        inputs, shown = task.transform_test(picture, short=64)
        assert inputs.shape[2:] == shown.shape[:2]
    anchors = zoo.rcnn.rpn.anchor.RPNAnchorGenerator(
        stride=16, base_size=16, ratios=(1,), scales=(1,), alloc_size=(2, 2)
    )
    # boxes of 16 pixels about the middles of 2 x 2 cells of 16
    corners = [[0, 0, 15, 15], [16, 0, 31, 15], [0, 16, 15, 31], [16, 16, 31, 31]]
    anchors.initialize()
    assert anchors(mx.nd.zeros((1, 3, 2, 2))).asnumpy().reshape(-1, 4).tolist() == corners
    net = zoo.hrnet_w18_small_v1_c()
    net.initialize()
    assert net(mx.nd.zeros((1, 3, 64, 64))).shape == (1, 1000)
