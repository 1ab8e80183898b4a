"""What is installed and handed on: the wheel holds the whole house, and the sdist its tests as well."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import vizcallbacks as vc

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, made of a copy of the files."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("built")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for line in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "copy"]):
        subprocess.run(["git", *line], cwd=copy, check=True)
    run(sys.executable, "-m", "build", "--outdir", out, copy)
    return out


def tracked():
    """Paths of the files under version control, that still are there; in an unpacked sdist there is no git."""
    if not (ROOT / ".git").exists():
        pytest.skip("made from a clone only")
    line = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [name for name in found if (ROOT / name).is_file()]


def run(*line, **options):
    done = subprocess.run(
        [str(word) for word in line], capture_output=True, text=True, timeout=900, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The interpreter of a new environment with the wheel; the packages it needs are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", wheel)
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(run(python, "-c", code).strip())
    here = [path for path in sys.path if path.endswith("-packages")]
    # without the finders of editable installations there, whose .pth files would bring this source tree in
    (site / "others.pth").write_text("\n".join(here))
    return python


def test_the_wheel_holds_every_file_of_the_package_and_no_other(built):
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {name for name in tracked() if name.startswith("vizcallbacks/")}


def test_the_sdist_holds_every_file(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(tracked()) <= names


def test_the_metadata_names_licence_version_and_pythons(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().split("\n")
    assert "License-Expression: Apache-2.0" in lines
    assert f"Version: {vc.__version__}" in lines
    assert {"Requires-Python: <3.13,>=3.9", "Requires-Python: >=3.9,<3.13"} & set(lines)


def test_the_sdists_tests_run_from_the_sdist(built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (folder,) = tmp_path.iterdir()
    some = ["tests/test_checks.py", "tests/test_old_files.py", "tests/attribution/test_layer_list.py"]
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *some]
    assert " passed" in run(*line, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)})
    collected = run(
        *line[:3], "--collect-only", "-q", cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}
    )
    assert "tests/nets/test_zoo.py" in collected
    assert "error" not in collected.rpartition("\n\n")[2]


def test_the_wheel_works_from_elsewhere(installed, tmp_path):
    told = run(installed, "-c", "import vizcallbacks; print(vizcallbacks.__file__)", cwd=tmp_path)
    assert str(installed.parents[1]) in told
    assert (
        run(installed, "-m", "vizcallbacks", "--version", cwd=tmp_path) == f"vizcallbacks {vc.__version__}\n"
    )
    old = ROOT / "tests" / "data" / "version_0_1_0" / "run"
    line = ["-W", "error", "-m", "vizcallbacks", "report", old, "--out", tmp_path / "page.html"]
    run(installed, *line, cwd=tmp_path)  # the page is made of the wheel's scripts and styles
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_a_project_whose_warnings_are_errors_passes_beside_the_installed_plugin(installed, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    told = run(installed, "-m", "pytest", "-v", "-p", "no:cacheprovider", cwd=tmp_path)
    assert f"vizcallbacks-{vc.__version__}" in told
    assert "1 passed" in told
    assert "warning" not in told.rpartition("1 passed")[2]
