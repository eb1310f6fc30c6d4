"""What the clients need: virtual environments, npm packages, a browser; all in one folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEDIAPIPE = ("mediapipe==1.2.2", "ai-edge-litert==2.3.0", "numpy==2.4.6", "pillow", "click")
TFLITE = ("tflite-runtime==2.14.0", "numpy<2")
PACKAGES = (
    "@mediapipe/tasks-vision@1.1.0",
    "@litertjs/core@2.5.3",
    "@litertjs/wasm-utils@2.5.3",
    "jpeg-js@0.4.4",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class NotHere(Exception):
    """Something that a client needs cannot be had."""


def export_python(cache: Path) -> Path:
    """A Python that can export: this one, or one of a virtual environment."""
    if find_spec("tensorflow") and find_spec("lesionlite_export"):
        return Path(sys.executable)
    return _venv(cache / "export", sys.executable, ("-e", f"{ROOT}[export]"))


def mediapipe_python(cache: Path) -> Path:
    """A Python with MediaPipe and LiteRT."""
    return _venv(cache / "mediapipe", python_3_11(), MEDIAPIPE)


def tflite_python(cache: Path) -> Path:
    """A Python with tflite-runtime, the last of whose wheels are for 3.11."""
    return _venv(cache / "tflite", python_3_11(), TFLITE)


def python_3_11() -> str:
    """Python 3.11: this one, or the one on the path."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        raise NotHere("Python 3.11 is not here")
    return found


def node_modules(cache: Path) -> Path:
    """The npm packages of the page, as they are published: no bundler, nothing is run."""
    folder = cache / "npm"
    if not _ready(folder, PACKAGES):
        if shutil.which("npm") is None:
            raise NotHere("npm is not here")
        folder.mkdir(parents=True)
        options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]
        _run(["npm", "install", *options, *PACKAGES], cwd=folder)
        _mark_ready(folder, PACKAGES)
    return folder / "node_modules"


def chromium() -> Path:
    """Chromium: the one on the path, or Debian's, installed if this user may."""
    found = _browser()
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        _run(["apt-get", "update", "-q"])
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"])
        found = _browser()
    if found is None:
        raise NotHere("Chromium is not here (on Debian: apt-get install chromium)")
    return found


def _browser() -> Path | None:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return None if found is None else Path(found)


def _venv(folder: Path, python: str, requirements: Sequence[str]) -> Path:
    inside = folder / "bin" / "python"
    if not _ready(folder, requirements):
        _run([python, "-m", "venv", str(folder)])
        install = [str(inside), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*install, *requirements])
        _mark_ready(folder, requirements)
    return inside


def _ready(folder: Path, contents: Sequence[str]) -> bool:
    """Whether ``folder`` holds just these; anything else in its place is removed."""
    mark = folder / "contents"
    if mark.is_file() and mark.read_text("utf-8") == "\n".join(contents):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _mark_ready(folder: Path, contents: Sequence[str]) -> None:
    (folder / "contents").write_text("\n".join(contents), "utf-8")


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise NotHere(f"`{' '.join(command[:4])} ...` failed: {' '.join(said)}")
