"""The house: every room has a floor and a list of what it may import; arrows point down. Read from the sources."""

import ast
import pkgutil
import sys
import sysconfig
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vizcallbacks"

ROOMS: dict[str, tuple[int, set[str], set[str]]] = {
    # room: (floor, other rooms that it may import, packages beside Python's own library)
    "ground": (1, set(), {"numpy"}),
    "measures": (1, set(), {"numpy"}),
    "probes": (2, {"ground"}, {"numpy", "cv2", "PIL"}),
    "tensorboard": (2, {"ground"}, {"numpy", "tensorboardX"}),
    "nets": (2, {"ground", "probes"}, {"numpy", "tqdm"}),
    "attribution": (
        3,
        {"ground", "nets", "probes", "measures"},
        {"numpy", "cv2", "scipy"},
    ),
    "pretrained": (3, {"ground", "probes"}, {"numpy"}),
    "pictures": (4, {"ground", "attribution", "probes"}, {"numpy", "cv2", "PIL"}),
    "regression": (5, {"ground", "pictures", "measures", "probes", "attribution"}, {"numpy"}),
    "view": (
        6,
        {"ground", "measures", "probes", "attribution", "pictures", "regression"},
        {"numpy", "cv2", "PIL", "tensorboard", "werkzeug"},
    ),
    "training": (
        7,
        {"ground", "view", "measures", "probes", "tensorboard", "attribution", "pictures", "regression"},
        {"numpy", "cv2"},
    ),
    "demo": (
        8,
        {"ground", "measures", "probes", "regression", "training", "view"},
        {"numpy", "cv2", "tqdm"},
    ),
    "cli": (
        9,
        {
            "ground",
            "attribution",
            "nets",
            "pictures",
            "pretrained",
            "probes",
            "regression",
            "view",
            "training",
            "demo",
        },
        {"numpy", "pytest", "tqdm"},
    ),
    "faces": (
        10,
        {
            "attribution",
            "nets",
            "pictures",
            "pretrained",
            "probes",
            "regression",
            "training",
            "view",
            "ground",
            "cli",
        },
        {"numpy", "pytest"},
    ),
}

GROUND = {
    "archive",
    "by_bytes",
    "checks",
    "files",
    "mxnet_door",
    "mxnet_later",
    "named",
    "safe_text",
    "showing",
    "version",
}
"""Modules at the package's top that are the ground floor; the others there are faces."""

MXNET = {"nets", "attribution", "pretrained", "demo", "faces"}
"""Rooms that may use MXNet, by `mxnet_door`."""

MXNET_ALONE = {"training.fit_locals", "training.handler", "training.loading", "training.question"}
"""Modules of other rooms that may: they run a net, or stand in the Estimator's list."""

NEVER_MXNET = {
    "__init__",
    "__main__",
    "pytest_plugin",
    "attribution.methods",
    "attribution.cams",
    "attribution.factors",
    "attribution.multipass",
    "attribution.paths",
    "attribution.scored_cams",
    "attribution.result",
    "attribution.targets",
    "targets",
}
"""Modules of those rooms that may not: what works on stored maps uses them."""

INSIDE = {
    "attribution.factors": {"scipy"},
    "training.replay_workers": {"distributed", "cloudpickle"},
    "demo.clever_hans": {"skimage", "sklearn"},
    "mxnet_door": {"gluoncv"},
    "cli.completing": {"argcomplete"},
    "view.frames": {"IPython"},
}
"""Module -> packages that it may import inside a function: those of the extras, and slow ones."""

MODULES = sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))


def room_of(module):
    """The room of a dotted module name below the package."""
    first, _, rest = module.partition(".")
    if rest:
        return first
    return first if first in ROOMS else "ground" if first in GROUND else "faces"


def imported(nodes, module):
    """The package's own modules among the imports, and all others by their first name."""
    own, foreign = set(), set()
    place = module.split(".")[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            foreign |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            foreign.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = place[: len(place) - (node.level - 1)] + ([node.module] if node.module else [])
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                own.add(whole if whole in MODULES or not base else ".".join(base))
    return own, foreign - set(STANDARD)


def standard_modules():
    """The names of the modules of Python's own library: Python 3.9 does not list them, so they are looked up."""
    folders = [sysconfig.get_path("stdlib"), sysconfig.get_config_var("DESTSHARED")]
    found = {one.name for one in pkgutil.iter_modules(folders)} | set(sys.builtin_module_names)
    return getattr(sys, "stdlib_module_names", found)


STANDARD = standard_modules()


def imports_of(module):
    """Those at the top of the module, and those inside its functions."""
    tree = ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(node): node for function in functions for node in ast.walk(function)}
    for_types = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    top = imported((n for n in ast.walk(tree) if id(n) not in inside and id(n) not in for_types), module)
    return top, imported(inside.values(), module)


def upward(module, own):
    """The modules of `own` that `module` must not import: of other rooms than its table allows, or not below."""
    room = room_of(module)
    floor, allowed, _ = ROOMS[room]
    return sorted(
        name
        for name in own
        if room_of(name) != room and (room_of(name) not in allowed or ROOMS[room_of(name)][0] > floor)
    )


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_the_rooms_that_it_may(module):
    if module == "__init__":
        return
    (top, _), (inside, _) = imports_of(module)
    wrong = upward(module, top | inside)
    assert not wrong, f"{module} must not import {wrong}: see ROOMS"


TESTS = sorted(Path(__file__).parent.rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=[path.stem for path in TESTS])
def test_no_test_imports_another_test(path):
    """What tests share is in `tests/helpers`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
            parts = {part for name in names for part in name.split(".")}
            assert not parts & {other.stem for other in TESTS}, f"line {node.lineno}"


def test_no_import_goes_in_a_circle():
    arrows = {module: imports_of(module)[0][0] - {module} for module in MODULES if module != "__init__"}
    known, walking = set(), []

    def walk(module):
        assert module not in walking, f"a circle: {' > '.join([*walking[walking.index(module) :], module])}"
        if module in known or module not in arrows:
            return
        walking.append(module)
        for other in sorted(arrows[module]):
            walk(other)
        known.add(walking.pop())

    for module in arrows:
        walk(module)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_its_own_third_party_packages(module):
    (_, foreign), (_, inside) = imports_of(module)
    allowed = ROOMS[room_of(module)][2] | ({"mxnet"} if module == "mxnet_door" else set())
    more = foreign - allowed
    assert not more, f"{module} must not import {more}; move the code, or allow it in ROOMS"
    more = inside - allowed - INSIDE.get(module, set())
    assert not more, f"{module} imports {more} inside a function; import at the top, or allow it in INSIDE"


@pytest.mark.parametrize("module", MODULES)
def test_only_what_runs_a_net_goes_through_the_door_to_mxnet(module):
    if module in MXNET_ALONE or (room_of(module) in MXNET and module not in NEVER_MXNET):
        return
    (own, _), (inside, _) = imports_of(module)
    assert "mxnet_door" not in own | inside, f"{module} must work without MXNet"


def test_every_room_says_what_it_is_for_and_what_it_may_touch():
    for room in set(ROOMS) - {"ground", "faces"}:
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
        assert text, f"{room}/__init__.py has no docstring"
        assert len(text.splitlines()) > 2, f"{room}/__init__.py must say what the room may touch"


def test_the_check_sees_every_kind_of_import(tmp_path, monkeypatch):
    source = """
import os, numpy.linalg
import mxnet as mx
from cv2 import resize
from .. import archive as files
from ..probes.probe_set import ProbeSet
from .rules import Rule
if os:
    import PIL
if TYPE_CHECKING:
    from ..mxnet_door import gluon
def f():
    import tqdm
    def g():
        from ..training.monitor import AttentionMonitor
"""
    (tmp_path / "regression").mkdir()
    (tmp_path / "regression" / "made.py").write_text(source)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (top, foreign), (inside, foreign_inside) = imports_of("regression.made")
    assert top == {"archive", "probes.probe_set", "regression.rules"}
    assert inside == {"training.monitor"}
    assert (foreign, foreign_inside) == ({"numpy", "mxnet", "cv2", "PIL"}, {"tqdm"})
    assert upward("regression.made", top | inside) == ["training.monitor"]
