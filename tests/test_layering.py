"""Imports point down: every module has a level, and imports only from lower ones. Read from the sources."""

import ast
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="Python 3.9 does not list the modules of its library"
)

PACKAGE = Path(__file__).parent.parent / "vizcallbacks"

LEVELS: list[dict[str, set[str]]] = [
    {
        "archive": {"numpy"},
        "blocks": {"mxnet"},
        "cams": {"cv2", "numpy"},
        "class_names": set(),
        "clever_hans": {"cv2", "mxnet", "numpy"},
        "efficientnet": {"mxnet"},
        "eventfile": {"numpy", "tensorboardX"},
        "graph": {"mxnet"},
        "lettering": {"PIL", "numpy"},
        "measures": {"numpy"},
        "nn": {"mxnet"},
        "noise": {"numpy"},
        "photographs": {"PIL", "numpy"},
        "rules": set(),
        "symbols": {"mxnet"},
        "targets": {"mxnet", "numpy"},
        "terminal": {"tqdm"},
        "torch_file": {"numpy"},
        "version": set(),
        "zoo": {"mxnet"},
    },
    {
        "eventlog": {"numpy"},
        "faithfulness": {"numpy"},
        "multipass": {"numpy"},
        "probe_sources": {"cv2", "numpy"},
        "render": {"cv2", "numpy"},
        "receptive_field": set(),
        "rewrite": {"mxnet", "numpy"},
        "similarity": {"numpy"},
        "tape": {"mxnet", "numpy"},
        "tracing": {"mxnet"},
    },
    {
        "budget": set(),
        "methods": {"numpy"},
        "probe": {"numpy"},
        "segments": {"mxnet"},
        "sheets": {"numpy"},
    },
    {
        "cells": {"numpy"},
        "inputs": {"mxnet", "numpy"},
        "instrument": {"mxnet", "numpy"},
        "pretrained": {"mxnet", "numpy"},
        "result": {"numpy"},
        "snapshot": {"numpy"},
        "workers": {"mxnet", "numpy"},
    },
    {
        "passes": {"mxnet", "numpy", "tqdm"},
    },
    {
        "attribution": {"mxnet", "numpy"},
        "baseline": {"numpy"},
        "runfolder": set(),
    },
    {
        "ask": {"mxnet", "numpy"},
        "gradcam": {"mxnet", "numpy"},
        "explain_command": {"numpy", "tqdm"},
        "layer_list": {"mxnet"},
        "question": {"mxnet", "numpy"},
        "randomise": {"mxnet", "numpy"},
        "report": {"numpy"},
    },
    {
        "album": {"cv2", "numpy"},
        "regression": {"numpy"},
        "report_files": {"numpy"},
    },
    {
        "alarm": {"numpy"},
        "check_command": set(),
        "pytest_plugin": {"pytest"},
    },
    {
        "monitor": {"mxnet", "numpy"},
    },
    {
        "handler": {"mxnet"},
    },
    {
        "demo": {"cv2", "mxnet", "numpy", "tqdm"},
    },
    {
        "cli": set(),
    },
]
"""From the bottom up: module -> what it may import beside Python's own library and modules of lower levels."""

OPTIONAL = {"clever_hans": {"skimage", "sklearn"}, "zoo": {"gluoncv"}}
"""Module -> packages of the extras, which it may import inside a function, and gluoncv, which takes a second."""

LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
FOREIGN = {name: packages for names in LEVELS for name, packages in names.items()}
MODULES = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))


def imported(nodes):
    """The package's own modules among the imports, and all others by their first name."""
    own, foreign = set(), set()
    for node in nodes:
        if isinstance(node, ast.Import):
            foreign |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            foreign.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            own |= {node.module} if node.module else {alias.name for alias in node.names}
    return own, foreign - set(sys.stdlib_module_names)


def imports_of(module):
    """Those at the top of the module, and those inside its functions."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(node): node for function in functions for node in ast.walk(function)}
    return imported(node for node in ast.walk(tree) if id(node) not in inside), imported(inside.values())


def test_every_module_has_one_level():
    assert len(LEVEL) == sum(len(names) for names in LEVELS), "a module stands in LEVELS twice"
    unknown = [module for module in MODULES if module not in (*LEVEL, "__init__")]
    assert not unknown, f"new modules: put {', '.join(unknown)} into LEVELS, above all that they import"
    gone = [name for name in LEVEL if name not in MODULES]
    assert not gone, f"modules that are gone: take {', '.join(gone)} out of LEVELS"


@pytest.mark.parametrize("module", [module for module in MODULES if module in LEVEL])
def test_it_imports_from_lower_levels_only(module):
    (own, _), _ = imports_of(module)
    strange = own - set(LEVEL)
    assert not strange, f"{module} imports {strange}, which are no modules in LEVELS; name the module itself"
    upward = [name for name in own if LEVEL[name] >= LEVEL[module]]
    assert not upward, (
        f"{module} (level {LEVEL[module]}) must not import {upward}, of its own or a higher level"
    )


@pytest.mark.parametrize("module", [module for module in MODULES if module in LEVEL])
def test_it_imports_only_its_own_third_party_packages(module):
    (_, foreign), _ = imports_of(module)
    more = foreign - FOREIGN[module]
    assert not more, f"{module} must not import {more}; move the code, or allow it in LEVELS"


@pytest.mark.parametrize("module", MODULES)
def test_functions_import_nothing_but_extras(module):
    _, (own, foreign) = imports_of(module)
    more = own | foreign - OPTIONAL.get(module, set())
    assert not more, f"{module} imports {more} inside a function; import at the top (extras: OPTIONAL)"


def test_the_package_itself_imports_its_own_modules_only():
    (own, foreign), _ = imports_of("__init__")
    assert own <= set(LEVEL)
    assert not foreign


def test_the_check_sees_every_kind_of_import(tmp_path, monkeypatch):
    source = """
import os, numpy.linalg
import mxnet as mx
from cv2 import resize
from . import archive as files
from .probe import ProbeSet
if os:
    import PIL
def f():
    import tqdm
    def g():
        from .monitor import AttentionMonitor
"""
    (tmp_path / "module.py").write_text(source)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    top, inside = imports_of("module")
    assert top == ({"archive", "probe"}, {"numpy", "mxnet", "cv2", "PIL"})
    assert inside == ({"monitor"}, {"tqdm"})
