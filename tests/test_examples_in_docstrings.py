"""Every example in the docstring of a public name runs and gives what it says."""

from __future__ import annotations

import doctest
import inspect
import random
import types

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

import vizcallbacks as vc


def public_names():
    """Dotted name -> function or class: the package's, those of its public modules, and methods of classes."""
    found = {}
    for name in vc.__all__:
        value = getattr(vc, name)
        if isinstance(value, types.ModuleType):
            found.update({f"{name}.{key}": getattr(value, key) for key in getattr(value, "__all__", ())})
        elif callable(value):
            found[name] = value
    for name, value in list(found.items()):
        if inspect.isclass(value):
            members = {
                key: inspect.getattr_static(value, key) for key in vars(value) if not key.startswith("_")
            }
            functions = {key: getattr(member, "__func__", member) for key, member in members.items()}
            found.update({f"{name}.{key}": one for key, one in functions.items() if inspect.isfunction(one)})
    return {name: value for name, value in found.items() if value.__module__.startswith("vizcallbacks")}


def given():
    """What examples may use besides what they make: `net` and `images`."""
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(8, 3, activation="relu"), gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(2, in_units=8)
    )
    net.initialize()
    return {"net": net, "images": np.random.rand(3, 3, 16, 16).astype("float32")}


NAMES = public_names()
EXAMPLES = {name: value for name, value in NAMES.items() if ">>>" in (value.__doc__ or "")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in (random.seed, np.random.seed, mx.random.seed):
        seed(0)
    example = doctest.DocTestParser().get_doctest(EXAMPLES[name].__doc__, given(), name, None, 0)
    told = []
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=options).run(example, out=told.append)
    assert not told, "".join(told)


def test_every_public_function_has_an_example():
    methods = {name for name in NAMES if inspect.isclass(NAMES.get(name.rpartition(".")[0]))}
    wanted = {name for name, value in NAMES.items() if inspect.isfunction(value) and name not in methods}
    assert {"explain", "layers", "sanity", "ask_net", "targets.head"} <= wanted
    assert wanted <= EXAMPLES.keys()


def test_a_wrong_example_would_be_noticed():
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    told = []
    assert doctest.DocTestRunner().run(example, out=told.append).failed == 1
    assert "Expected:" in "".join(told)
