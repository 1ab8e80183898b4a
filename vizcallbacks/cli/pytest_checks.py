"""What the pytest fixture `attention_regression` gives: checks of nets against baselines beside the tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..attribution.explaining import explain
from ..probes.probe_set import ProbeSet
from ..regression.baseline import Baseline, NotComparableError
from ..regression.comparing import compare
from ..regression.report import Report
from ..regression.report_files import save_picture
from ..regression.rules import parse_rules
from ..regression.snapshot import take


class AttentionRegression:
    """What the fixture gives.

    Parameters
    ----------
    folder : Path
        Of the baselines of this test file.
    test : str
        The test's node id.
    pictures : Path
        An existing folder for the pictures of failures.
    accept : bool
        Rewrite baselines.
    """

    def __init__(self, folder: Path, test: str, pictures: Path, accept: bool) -> None:
        self._folder, self._test, self._pictures, self._accept = folder, test, pictures, accept
        self._checked: set[Path] = set()

    def check(
        self,
        net,
        probe: ProbeSet,
        *,
        layer=None,
        rules: Mapping[str, str | Iterable[str]] | None = None,
        methods: Sequence[str] | str = "grad_cam",
        targets: Any = "label",
        name: str = "",
        batch_size: int = 16,
    ) -> Report:
        """Fail the test unless the net looks where its baseline looked.

        Parameters
        ----------
        net, layer, methods, targets, batch_size
            As for `vizcallbacks.explain`, methods of the CAM family.
        probe : ProbeSet
        rules : mapping of str to str, or to several
            As for `vizcallbacks.compare`; None: the baseline's own.
        name : str
            Tells the checks of one test apart.

        Returns
        -------
        Report
            One that passed. A failure shows the report and the path of a picture.

        Raises
        ------
        TypeError, ValueError
            An argument is wrong; no baseline is written.
        """
        __tracebackhide__ = True
        file_name = _file_name(self._test.split("::", 1)[-1]) + (f"+{_file_name(name)}" if name else "")
        path = self._folder / f"{file_name}.npz"
        if path in self._checked:
            raise ValueError(
                f"this test has checked {path.name} already; tell its checks apart: check(..., name=...)"
            )
        self._checked.add(path)
        if not isinstance(probe, ProbeSet):
            raise TypeError(
                f"probe must be a ProbeSet, got {type(probe).__name__}; make one: ProbeSet(images)"
            )
        if rules is not None:
            parse_rules(rules)
        result = explain(net, probe, methods, layer=layer, targets=targets, batch_size=batch_size)
        now = take(result, probe, step=0, when="now")
        made = Baseline.from_snapshots(now, probe, [self._test])
        alone = compare(now, made, rules, probe=probe)
        if not alone.passed:
            told = self._pictured(alone, probe, path)
            pytest.fail(f"{told}\n\nthese rules fail whatever the baseline; none was written", pytrace=False)
        if not path.exists():
            self._write(made, path, "there was no attention baseline yet")
        try:
            baseline = Baseline.load(path)
            report = compare(now, baseline, rules, probe=probe)
        except (NotComparableError, ValueError, OSError) as error:
            self._fail(made, path, str(error))
        if not report.passed:
            self._fail(made, path, str(self._pictured(report, probe, path)))
        return report

    def _pictured(self, report: Report, probe: ProbeSet, path: Path) -> Report:
        return save_picture(report, probe, self._pictures / f"{path.stem}.png")

    def _fail(self, made: Baseline, path: Path, reason: str) -> None:
        __tracebackhide__ = True
        if self._accept:
            self._write(
                made,
                path,
                f"{reason}\n\nthe attention baseline was rewritten, as --accept-attention asks for",
            )
        hint = f"to accept what is now: pytest --accept-attention '{self._test}'"
        pytest.fail(f"{reason}\n\nbaseline: {path}\n{hint}", pytrace=False)

    def _write(self, made: Baseline, path: Path, reason: str) -> None:
        __tracebackhide__ = True
        path.parent.mkdir(parents=True, exist_ok=True)
        made.save(path)
        pytest.fail(
            f"{reason}; written:\n{path}\nkeep it under version control, and run the test again",
            pytrace=False,
        )


def _file_name(text: str) -> str:
    """A test's node id without its file, or a name, as part of a file's name; different ones stay different."""
    text = text.replace("::", ".")
    plain = re.fullmatch(r"[\w.]+(\[[\w.-]+\])?", text, re.ASCII) and len(text) <= 120
    clean = re.sub(r"[^A-Za-z0-9_.-]", "_", text.replace("[", "-").replace("]", ""))[:100]
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return clean if plain else f"{clean}-{digest}"
