"""What the pytest fixture `attention_regression` gives: checks of nets against baselines beside the tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..attribution.explaining import explain
from ..probes.probe_set import ProbeSet
from ..regression.accepting import doubts
from ..regression.baseline import Baseline
from ..regression.comparable import NotComparableError
from ..regression.comparing import compare
from ..regression.report import Report
from ..regression.report_files import save_picture
from ..regression.rules import Thresholds, parse_rules
from ..regression.snapshot import take
from .pytest_pages import write_page

if TYPE_CHECKING:
    from ..mxnet_door import gluon


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
    pages : Path, optional
        Write a page about each check there.
    """

    def __init__(
        self, folder: Path, test: str, pictures: Path, accept: bool, pages: Path | None = None
    ) -> None:
        self._folder, self._test, self._pictures, self._accept = folder, test, pictures, accept
        self._pages = pages
        self._checked: set[Path] = set()

    def check(
        self,
        net: gluon.Block,
        probe: ProbeSet,
        *,
        layer: Any = None,
        rules: Thresholds | None = None,
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
        options = {"layer": layer, "methods": methods, "targets": targets, "batch_size": batch_size}
        (report,) = self._check({"now": net}, probe, rules, name, options)
        return report

    def check_seeds(
        self,
        nets: Callable[[int], gluon.Block] | Sequence[gluon.Block],
        probe: ProbeSet,
        *,
        seeds: Iterable[int] = range(3),
        layer: Any = None,
        rules: Thresholds | None = None,
        methods: Sequence[str] | str = "grad_cam",
        targets: Any = "label",
        name: str = "",
        batch_size: int = 16,
    ) -> tuple[Report, ...]:
        """Fail the test unless nets of several seeds look where those of the baseline looked.

        The baseline learns from them how much seeds differ, which a single net cannot tell. Each net has to pass
        by itself.

        Parameters
        ----------
        nets : callable, or sequence of Block
            A function of the seed that returns a trained net; or the nets themselves, at least two.
        seeds : iterable of int
            What the function is called with.
        probe, layer, rules, methods, targets, name, batch_size
            As for `check`.

        Returns
        -------
        tuple of Report
            One for each net, all passed.

        Raises
        ------
        TypeError, ValueError
            An argument is wrong; no baseline is written.
        """
        __tracebackhide__ = True
        made = {f"seed {seed}": nets(seed) for seed in seeds} if callable(nets) else None
        named = {f"net {i}": net for i, net in enumerate(nets)} if made is None else made  # type: ignore[arg-type]
        if len(named) < 2:
            raise ValueError(
                f"several nets must be at least 2, got {len(named)}; for one net there is check(net, probe)"
            )
        options = {"layer": layer, "methods": methods, "targets": targets, "batch_size": batch_size}
        return self._check(named, probe, rules, name, options)

    def _check(
        self,
        nets: Mapping[str, gluon.Block],
        probe: ProbeSet,
        rules: Thresholds | None,
        name: str,
        options: dict[str, Any],
    ) -> tuple[Report, ...]:
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
        taken = [take(explain(net, probe, **options), probe, step=0, when=when) for when, net in nets.items()]
        sources = [self._test if len(taken) == 1 else f"{self._test}, {one.when}" for one in taken]
        made = Baseline.from_snapshots(taken, probe, sources)
        vacuous = [one.doubt() for one in doubts(made) if one.vacuous]
        if vacuous and rules is None:
            told = "\n".join(vacuous)
            pytest.fail(
                f"{told}\n\na baseline of these nets would forbid nothing; none was written", pytrace=False
            )
        alone = [compare(one, made, rules, probe=probe) for one in taken]
        if not all(report.passed for report in alone):
            told = self._told(alone, made, probe, path)
            pytest.fail(f"{told}\n\nthese rules fail whatever the baseline; none was written", pytrace=False)
        if not path.exists():
            self._told(alone, made, probe, path)
            self._write(made, path, "there was no attention baseline yet")
        try:
            baseline = Baseline.load(path)
            reports = tuple(compare(one, baseline, rules, probe=probe) for one in taken)
        except (NotComparableError, ValueError, OSError) as error:
            self._fail(made, path, str(error))
        told = self._told(reports, baseline, probe, path)
        if not all(report.passed for report in reports):
            self._fail(made, path, told)
        return reports

    def _told(self, reports: Sequence[Report], baseline: Baseline, probe: ProbeSet, path: Path) -> str:
        """The reports that failed, with a picture of each; and the page about all, if one is asked for."""
        failed = [report for report in reports if not report.passed]
        places = [f"{path.stem}{f'-{i}' * (len(failed) > 1)}.png" for i in range(len(failed))]
        drawn = [save_picture(report, probe, self._pictures / place) for report, place in zip(failed, places)]
        if self._pages is not None:
            write_page(self._pages, f"{self._folder.name}.{path.stem}", self._test, reports, baseline, probe)
        return "\n\n".join(map(str, drawn))

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
