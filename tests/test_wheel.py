"""The wheel in an empty environment: what a user of the base install has, and has not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from lesionlite_runtime.classifier import SHIPPED

ROOT = Path(__file__).parents[1]
ABSENT = ("tensorflow", "pandas", "scipy", "scikit-learn", "keras", "rich")
NO_INDEX = (
    "No matching distribution",
    "Could not fetch URL",
    "Failed to establish a new connection",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Connection refused",
    "Network is unreachable",
)


def called(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``command`` without this process's import paths."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    arguments = [str(part) for part in command]
    return subprocess.run(
        arguments, capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )


def installed(*command: str | Path) -> None:
    """Run a pip command; skip (in CI: fail) where it reaches no package index."""
    outcome = called(*command)
    if outcome.returncode == 0:
        return
    if any(words in outcome.stderr for words in NO_INDEX) and "CI" not in os.environ:
        pytest.skip(f"no package index is reachable: {outcome.stderr.splitlines()[-1]}")
    pytest.fail(outcome.stdout + outcome.stderr)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    installed(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, ROOT)
    (path,) = folder.glob("lesionlite-*.whl")
    return path


@pytest.fixture(scope="session")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripts of an environment that holds the wheel and its base dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    installed(scripts / "python", "-m", "pip", "install", "-q", wheel)
    return scripts


def test_the_wheel_holds_the_three_packages_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    packages = {"lesionlite_runtime", "lesionlite_export", "lesionlite_training"}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages
    assert f"lesionlite_runtime/{SHIPPED}" in names
    for package in packages:
        assert f"{package}/py.typed" in names
    assert any(name.startswith("lesionlite_export/recipes/") for name in names)
    assert {f"lesionlite_export/report/page.{kind}" for kind in ("html", "css")} <= set(names)


def test_classify_works_on_the_drawn_photos(
    scripts: Path, drawn_photos: list[Path], tmp_path: Path
) -> None:
    outcome = called(scripts / "lesionlite", "classify", *drawn_photos, "--json", cwd=tmp_path)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    results = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [result["file"] for result in results] == [str(photo) for photo in drawn_photos]


def test_the_python_api_works(scripts: Path, drawn_photos: list[Path], tmp_path: Path) -> None:
    code = "import sys, lesionlite_runtime as l; print(l.Classifier().classify(sys.argv[1]).score)"
    outcome = called(scripts / "python", "-c", code, drawn_photos[0], cwd=tmp_path)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert 0 <= float(outcome.stdout) <= 1


@pytest.mark.parametrize(
    ("command", "extra"), [("export", "quantize"), ("verify", "quantize"), ("demo", "export")]
)
def test_a_command_of_an_extra_says_what_to_install(
    scripts: Path, tmp_path: Path, command: str, extra: str
) -> None:
    outcome = called(scripts / "lesionlite", command, "x.keras", cwd=tmp_path)
    assert (outcome.returncode, outcome.stdout) == (6, "")
    assert f"pip install 'lesionlite[{extra}]'" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_help_and_version_work(scripts: Path, tmp_path: Path) -> None:
    outcome = called(scripts / "lesionlite", "--help", cwd=tmp_path)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "classify" in outcome.stdout
    outcome = called(scripts / "lesionlite", "--version", cwd=tmp_path)
    assert outcome.returncode == 0


def test_nothing_heavy_is_installed(scripts: Path) -> None:
    outcome = called(scripts / "python", "-m", "pip", "list", "--format=json")
    names = {package["name"].lower() for package in json.loads(outcome.stdout)}
    assert {"lesionlite", "numpy", "pillow", "click"} <= names
    assert not names & set(ABSENT)
