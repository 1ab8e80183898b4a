"""The fixture attention_regression, run by pytest itself."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
from pathlib import Path

import cv2
import pytest

import vizcallbacks as vc
from vizcallbacks.cli.pytest_checks import _file_name

pytest_plugins = "pytester"

# Where the package is installed it registers its plugin; from a bare source tree it has to be named.
REGISTERED = any(
    (one.group, one.name) == ("pytest11", "vizcallbacks")
    for distribution in importlib.metadata.distributions()
    for one in distribution.entry_points
)
PLUGIN = [] if REGISTERED else ["-p", "vizcallbacks.pytest_plugin"]

TEST = """
import vizcallbacks.mxnet_door
import numpy as np
import mxnet as mx
import pytest
from mxnet import gluon
import vizcallbacks as vc

SEED, IMAGES = {seed}, {images}


def trained_net():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(4, 3, padding=1, in_channels=3))
    net.add(gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(3, in_units=4))
    net.initialize()
    random = np.random.RandomState(SEED)
    for parameter in net.collect_params().values():
        parameter.set_data(mx.nd.array(random.normal(size=parameter.shape)))
    return net


def probe_set(count=4):
    images = np.random.RandomState(IMAGES).normal(size=(count, 3, 8, 8)).astype("float32")
    masks = {{"tag": np.zeros((count, 8, 8), bool)}}
    masks["tag"][:, :3, :3] = True
    return vc.ProbeSet(images, np.arange(count) % 3, masks=masks)

{tests}
"""

ONE = """
def test_net(attention_regression):
    report = attention_regression.check(trained_net(), probe_set(){more})
    assert report.passed
"""


SECONDS = itertools.count(1_000_000_000)


def write(pytester, seed=0, images=0, more="", tests=ONE):
    path = pytester.makepyfile(
        test_it=TEST.format(seed=seed, images=images, tests=tests.replace("{more}", more))
    )
    # Python takes a file of the same size and second for the one that it has compiled already
    os.utime(path, (next(SECONDS),) * 2)


# What would be imported and rewritten anew for each run, and plays no part here.
QUICKLY = [
    "--assert=plain",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:xdist",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore",
]


def run(pytester, *arguments):
    return pytester.runpytest_inprocess(*PLUGIN, *QUICKLY, *arguments)


@pytest.fixture
def baseline(pytester):
    """A test file with its baseline written."""
    write(pytester)
    run(pytester).assert_outcomes(failed=1)
    return pytester.path / "test_it" / "test_net.npz"


def test_the_first_run_writes_the_baseline_and_fails_saying_so(pytester):
    write(pytester)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    path = pytester.path / "test_it" / "test_net.npz"
    result.stdout.fnmatch_lines(
        ["there was no attention baseline yet; written:", str(path), "keep it under version control*"]
    )
    made = vc.Baseline.load(path)
    assert made.sources == ("test_it.py::test_net",)
    assert list(path.parent.iterdir()) == [path]


def test_the_second_run_passes_and_writes_nothing(pytester, baseline):
    before = baseline.stat().st_mtime_ns
    run(pytester).assert_outcomes(passed=1)
    assert baseline.stat().st_mtime_ns == before


def test_another_net_fails_with_report_picture_and_the_way_to_accept(pytester, baseline):
    before = baseline.read_bytes()
    write(pytester, seed=1)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "attention check FAILED *: now, layer '0', 4 probe images, by a baseline of 1 run",
            "*FAIL  grad_cam/spearman within noise: mean *",
            "*images fail individually; worst: image_00*",
            "  picture: *test_net.png",
            f"baseline: {baseline}",
            "to accept what is now: pytest --accept-attention 'test_it.py::test_net'",
        ]
    )
    # where CI is set, pytest shows the message a second time in its summary
    line = next(line for line in result.outlines if line.startswith("  picture: "))
    assert cv2.imread(line.split(": ")[1]).shape[1] == 1360
    assert baseline.read_bytes() == before
    assert not any("pytest_plugin.py" in line for line in result.outlines)  # no traceback of ours


def test_accept_rewrites_what_fails_and_the_next_run_passes(pytester, baseline):
    write(pytester, seed=1)
    result = run(pytester, "--accept-attention")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FAIL  grad_cam/spearman*", "the attention baseline was rewritten, as*"])
    run(pytester).assert_outcomes(passed=1)
    write(pytester, seed=0)
    run(pytester).assert_outcomes(failed=1)


def test_accept_leaves_alone_what_passes(pytester, baseline):
    before = baseline.stat().st_mtime_ns
    run(pytester, "--accept-attention").assert_outcomes(passed=1)
    assert baseline.stat().st_mtime_ns == before


def test_a_missing_file_is_written_again_and_is_no_pass(pytester, baseline):
    baseline.unlink()
    run(pytester).assert_outcomes(failed=1)
    assert baseline.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", None])
def test_a_damaged_file_fails_with_the_reason_until_it_is_accepted(pytester, baseline, content):
    baseline.write_bytes(baseline.read_bytes()[:-300] if content is None else content)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*is no readable vizcallbacks baseline file*", "to accept what is now:*"])
    run(pytester, "--accept-attention").assert_outcomes(failed=1)
    run(pytester).assert_outcomes(passed=1)


def test_another_probe_set_is_not_comparable_and_may_be_accepted(pytester, baseline):
    write(pytester, images=7)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the probe sets differ*", "to accept what is now:*"])
    run(pytester, "--accept-attention").assert_outcomes(failed=1)
    run(pytester).assert_outcomes(passed=1)


def test_rules_take_the_place_of_the_default_ones(pytester, baseline):
    write(pytester, seed=1, more=", rules={'dead': '<= 1'}")
    run(pytester).assert_outcomes(passed=1)


def test_rules_that_fail_whatever_the_baseline_write_none(pytester):
    write(pytester, more=", rules={'energy/tag': '< 0'}")
    for option in ([], ["--accept-attention"]):
        result = run(pytester, *option)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["*FAIL  energy/tag < 0*", "these rules fail whatever the baseline; none was written"]
        )
    assert not (pytester.path / "test_it").exists()


WRONG = {
    "a rule": (
        ", rules={'dead': 'low'}",
        "*ValueError: the rule for 'dead' must be a relation and a number*",
    ),
    "a measure": (", rules={'energy/dog': '< 1'}", "*ValueError: there is no measure 'energy/dog'*"),
    "a layer": (", layer='conv9'", "*ValueError: layer 'conv9' is not a Conv2D of this net*"),
    "no map": (", methods='saliency'", "*ValueError: a baseline needs maps of the CAM family*"),
    "no probe set": (".images", "*TypeError: probe must be a ProbeSet, got ndarray*"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_errors_and_write_nothing(pytester, case):
    more, message = WRONG[case]
    write(pytester, more=more)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    assert not (pytester.path / "test_it").exists()


SEVERAL = """
class TestNet:
    @pytest.mark.parametrize("count", [2, 3])
    def test_net(self, attention_regression, count):
        attention_regression.check(trained_net(), probe_set(count))

@pytest.mark.parametrize("text", ["a-b", "a/b", "a_b", "é"])
def test_net(attention_regression, text):
    attention_regression.check(trained_net(), probe_set(), name="first")
    attention_regression.check(trained_net(), probe_set(2), name="second")
"""


def test_each_test_parameter_and_name_has_a_file_of_its_own(pytester):
    write(pytester, tests=SEVERAL)
    run(pytester).assert_outcomes(failed=6)
    run(pytester).assert_outcomes(failed=4, passed=2)
    run(pytester).assert_outcomes(passed=6)
    names = {path.name for path in (pytester.path / "test_it").iterdir()}
    assert len(names) == 10
    assert {"TestNet.test_net-2.npz", "TestNet.test_net-3.npz", "test_net-a-b+first.npz"} < names


def test_different_texts_have_different_file_names():
    texts = [
        "t[a]",
        "t[b]",
        "t-a",
        "t[a/b]",
        "t[a b]",
        "t[a_b]",
        "t[a-b]",
        "t",
        "T.t",
        "t" * 300,
        "t" * 301,
        "é",
        "è",
    ]
    assert len({_file_name(text) for text in texts}) == len(texts)
    for text in texts:
        assert Path(_file_name(text)).name == _file_name(text)
        assert len(_file_name(text)) < 130


TWICE = """
def test_net(attention_regression):
    for _ in range(2):
        attention_regression.check(trained_net(), probe_set())
"""


def test_two_checks_of_one_name_are_told_apart_or_refused(pytester, baseline):
    write(pytester, tests=TWICE)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ValueError: this test has checked test_net.npz already; tell*"])


MANY = """
@pytest.mark.parametrize("count", range(1, 9))
def test_net(attention_regression, count):
    attention_regression.check(trained_net(), probe_set(count))
"""


@pytest.mark.slow
def test_it_is_safe_under_xdist(pytester, monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", str(Path(vc.__file__).parents[1])
    )  # as this process has it, installed or not
    write(pytester, tests=MANY)
    arguments = [*PLUGIN, "-n", "2", "-p", "no:cacheprovider", "-W", "ignore"]
    pytester.runpytest_subprocess(*arguments, timeout=120).assert_outcomes(failed=8)
    assert len(list((pytester.path / "test_it").iterdir())) == 8
    pytester.runpytest_subprocess(*arguments, timeout=120).assert_outcomes(passed=8)


@pytest.mark.slow
def test_the_example_writes_its_baselines_and_passes_from_then_on(pytester):
    example = Path(__file__).parents[1] / "examples" / "test_attention.py"
    pytester.makepyfile(test_attention=example.read_text(encoding="utf-8"))
    run(pytester).assert_outcomes(failed=2)
    assert len(list((pytester.path / "test_attention").iterdir())) == 2
    run(pytester).assert_outcomes(passed=2)


SEEDS = """
def net_of(seed):
    net = trained_net()
    random = np.random.RandomState(seed)
    for parameter in net.collect_params().values():
        parameter.set_data(parameter.data() + mx.nd.array({spread} * random.normal(size=parameter.shape)))
    return net

def test_net(attention_regression):
    reports = attention_regression.check_seeds({nets}, probe_set(){more})
    assert len(reports) == {count}
"""


def seeds(pytester, seed=0, nets="net_of", spread=0.02, more="", count=3):
    tests = SEEDS.format(nets=nets, spread=spread, more=more, count=count)
    write(pytester, seed=seed, tests=tests.replace("{", "{{").replace("}", "}}").replace("{{more}}", ""))


def test_nets_of_several_seeds_make_one_baseline_and_are_checked_each(pytester):
    seeds(pytester)
    run(pytester).assert_outcomes(failed=1)
    made = vc.Baseline.load(pytester.path / "test_it" / "test_net.npz")
    assert made.sources == tuple(f"test_it.py::test_net, seed {seed}" for seed in range(3))
    run(pytester).assert_outcomes(passed=1)
    seeds(pytester, seed=1)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["attention check FAILED *: seed 0, *by a baseline of 3 runs", "*: seed 1, *"]
    )


def test_several_nets_may_be_given_themselves(pytester):
    seeds(pytester, nets="[net_of(1), net_of(2)]", count=2)
    run(pytester).assert_outcomes(failed=1)
    run(pytester).assert_outcomes(passed=1)
    seeds(pytester, nets="[net_of(1)]", count=1)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*ValueError: several nets must be at least 2, got 1; for one net there is check*"]
    )


def test_seeds_that_contradict_each_other_write_no_baseline(pytester):
    seeds(pytester, spread=5)
    result = run(pytester, "--accept-attention")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*: the runs contradict each other (*",
            "a baseline of these nets would forbid nothing; none was written",
        ]
    )
    assert not (pytester.path / "test_it").exists()


def test_pages_of_a_session_show_baseline_and_now_with_an_index(pytester, baseline):
    for seed, verdict in ((0, "pass"), (1, "FAIL")):
        write(pytester, seed=seed)
        run(pytester, "--attention-html", "pages").assert_outcomes(**{"passed" if seed == 0 else "failed": 1})
        index = (pytester.path / "pages" / "index.html").read_text()
        assert f"1 attention check, {seed} failed" in index
        assert verdict in index
        assert 'href="test_it.test_net.html"' in index
        assert ("grad_cam/spearman within noise" in index) == (seed == 1)
        page = (pytester.path / "pages" / "test_it.test_net.html").read_text()
        assert "Attention of baseline, now" in page
        assert ("now failed" in page) == (seed == 1)
    assert not list(pytester.path.glob("pages/*.tmp"))
    pytester.makepyfile(test_it="def test_nothing(): pass")
    run(pytester, "--attention-html", "pages").assert_outcomes(passed=1)
    # the outcome of the session before lies there still, but is older
    old = pytester.path / "pages" / "test_it.test_net.check.json"
    os.utime(old, (1, 1))
    run(pytester, "--attention-html", "pages").assert_outcomes(passed=1)
    assert "No attention check was made" in (pytester.path / "pages" / "index.html").read_text()


def test_without_the_option_no_page_is_written(pytester, baseline):
    run(pytester).assert_outcomes(passed=1)
    assert not list(pytester.path.rglob("*.html"))
